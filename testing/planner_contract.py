"""A check that anybody's planner keeps the contract of ``core.Planner``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core import (
    AgentState,
    Answer,
    AnsweredAsk,
    Ask,
    Decision,
    Planner,
    PlannerError,
    Record,
    ReplayDiverged,
    Situation,
    ask_from_json,
    canonical,
    check_arguments,
    from_json,
    to_json,
)
from ..planners.arguments import satisfies_schema
from .adversarial_models import Answerer, RandomAnswerer, RepeatingAnswerer, adversarial_answerers
from .label_checks import check_confidentiality, check_integrity
from .situations import default_situations as usual
from .thought_replay import retrace

Rounds = list[tuple[tuple[Ask, ...], tuple[Answer, ...]]]


@check_arguments
def check_planner(
    make: Callable[[], Planner], situations: Sequence[Situation] = (), *, most_asks: int = 500
) -> None:
    """Fail when a planner breaks a clause of its contract, and name the clause.

    ``make`` builds the same planner each time. It is put into ``default_situations`` (without any,
    into those of ``evaluation.default_situations``) with models that repeat themselves, refuse and
    talk nonsense. ``most_asks`` is the bound within which every step must end. Then agents
    live by it with a model that echoes what it is shown: see ``evaluation.check_labels``. Raises
    PlannerError.
    """
    check = _PlannerCheck(make, most_asks)
    given = tuple(situations) or usual()
    for place, situation in enumerate(given):
        where = f"situation {place}"
        check.check_deterministic(situation, where)
        check.check_resumable(situation, where)
        for name, answerer in adversarial_answerers(situation.seed).items():
            check.check_step(situation, answerer(), f"{where}, a model that {name}")
    check.check_stateless(given)
    for place, situation in enumerate(given):
        check_confidentiality(make, situation, f"situation {place}")
        check_integrity(make, situation, f"situation {place}")


@dataclass(frozen=True, slots=True)
class _PlannerCheck:
    """One planner under examination."""

    make: Callable[[], Planner]
    max_asks: int

    def run_step(
        self, planner: Planner, situation: Situation, answer: Answerer, where: str
    ) -> tuple[Rounds, Decision]:
        """One step with a model, to its end."""
        rounds: Rounds = []
        asked = 0
        try:
            thought = planner.decide(situation)
            asks = next(thought)
            while True:
                asked += len(asks)
                if asked > self.max_asks or len(rounds) > self.max_asks:
                    raise _contract_error("decide: ends within its bound", f"{where}: {asked} asks")
                answers = tuple(answer(ask) for ask in asks)
                rounds.append((asks, answers))
                asks = thought.send(answers)
        except StopIteration as end:
            made: Decision = end.value
        except PlannerError:
            raise
        except Exception as error:  # Whatever it is: no answer of a model may raise it.
            clause = "decide: nothing that a model answers raises an error"
            raise _contract_error(clause, f"{where}: {error!r}") from error
        _require(isinstance(made, Decision), "decide: returns a Decision", f"{where}: {made!r}")
        return rounds, made

    def check_step(self, situation: Situation, answer: Answerer, where: str) -> None:
        """Clauses about every step, whatever a model says."""
        rounds, made = self.run_step(self.make(), situation, answer, where)
        _check_action(situation, made, where)
        _check_json(rounds, made, where)
        _check_record_ids(situation, made, where)

    def check_deterministic(self, situation: Situation, where: str) -> None:
        """The same situation, seed and answers: the same asks and the same decision."""
        clause = "decide: the same situation and answers give the same asks and decision"
        for number in (1, 2, 3):
            one = self.run_step(self.make(), situation, RandomAnswerer(number), where)
            other = self.run_step(self.make(), situation, RandomAnswerer(number), where)
            _require(_asks(one[0]) == _asks(other[0]), clause, f"{where}: the asks differ")
            _require(one[1] == other[1], clause, f"{where}: the decisions differ")

    def check_stateless(self, situations: Sequence[Situation]) -> None:
        """A planner that has served others decides as a new one does."""
        shared = self.make()
        clause = "decide: holds no state, so that one planner may serve any number"
        for place, situation in enumerate([*situations, *situations]):
            where = f"situation {place % len(situations)}"
            used = self.run_step(shared, situation, RandomAnswerer(7), where)
            new = self.run_step(self.make(), situation, RandomAnswerer(7), where)
            _require(_asks(used[0]) == _asks(new[0]) and used[1] == new[1], clause, where)

    def check_resumable(self, situation: Situation, where: str) -> None:
        """A thought given up anywhere, and built anew from its answers, goes on alike."""
        clause = "decide: a thought built anew from the answers so far goes on alike"
        for answerer in (RepeatingAnswerer(1), RandomAnswerer(5)):
            rounds, made = self.run_step(self.make(), situation, answerer, where)
            asked = [AnsweredAsk(*pair) for asks, answers in rounds for pair in zip(asks, answers)]
            for cut in range(0, len(rounds), max(1, len(rounds) // 4)):
                planner = self.make()
                thought = planner.decide(situation)
                next(thought)
                for _, answers in rounds[:cut]:
                    thought.send(answers)
                thought.close()
                try:
                    again = retrace(planner.decide(situation), asked, where)
                except ReplayDiverged as error:
                    raise _contract_error(clause, str(error)) from error
                _require(again == made, clause, f"{where}: another decision")


def _asks(rounds: Rounds) -> list[tuple[Ask, ...]]:
    return [asks for asks, _ in rounds]


def _check_action(situation: Situation, made: Decision, where: str) -> None:
    """Only what the world affords, with the fields it wants; in no world nothing is done."""
    clause, action = "decide: does what is afforded, and nothing else", made.action
    if not situation.can:
        return
    named = [one for one in situation.can if (one.verb, one.target) == (action.verb, action.target)]
    _require(bool(named), clause, f"{where}: {action.verb} '{action.target}'")
    wanted = named[0].fields
    right = not wanted or satisfies_schema(action.fields, wanted)
    _require(right, clause, f"{where}: {action.verb} with {action.fields!r}")


def _check_json(rounds: Rounds, made: Decision, where: str) -> None:
    """What is kept travels as JSON and comes back as it was."""
    clause = "the state, the records and the asks come back from JSON as they were"
    try:
        state = from_json(AgentState, json.loads(canonical(to_json(made.state))))
        records = [from_json(Record, json.loads(canonical(to_json(r)))) for r in made.records]
        asks = [ask for asks, _ in rounds for ask in asks]
        back = [ask_from_json(json.loads(canonical(to_json(ask)))) for ask in asks]
    except (TypeError, ValueError) as error:
        raise _contract_error(clause, f"{where}: {error}") from error
    _require(state == made.state, clause, f"{where}: the state")
    _require(records == list(made.records), clause, f"{where}: the records")
    _require([to_json(a) for a in back] == [to_json(a) for a in asks], clause, f"{where}: the asks")


def _check_record_ids(situation: Situation, made: Decision, where: str) -> None:
    """Memories are numbered on, and the state counts them."""
    clause = "decide: records are numbered on from state.records, and counted there"
    first = situation.state.records + 1
    numbers = [record.id for record in made.records]
    _require(numbers == list(range(first, first + len(numbers))), clause, f"{where}: {numbers}")
    counted = made.state.records
    _require(counted == situation.state.records + len(numbers), clause, f"{where}: {counted}")


def _require(kept: bool, clause: str, detail: str) -> None:
    if not kept:
        raise _contract_error(clause, detail)


def _contract_error(clause: str, detail: str) -> PlannerError:
    return PlannerError(
        f"check_planner: {clause}: {detail}; see core/protocols/agent_state.py, Planner"
    )
