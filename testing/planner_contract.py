"""A check that a planner keeps the contract of ``Planner``."""

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
from .contract import Contract
from .label_checks import check_confidentiality, check_integrity
from .situations import default_situations
from .thought_replay import retrace

Rounds = list[tuple[tuple[Ask, ...], tuple[Answer, ...]]]

CONTRACT = Contract("check_planner", PlannerError, "docs/planners.md")


@check_arguments
def check_planner(
    make: Callable[[], Planner], situations: Sequence[Situation] = (), *, most_asks: int = 500
) -> None:
    """Raise PlannerError when a planner breaks a clause of its contract, and name the clause.

    ``make`` builds the same planner each time. The planner decides in each of ``situations``
    (those of ``default_situations`` if none are given) with models that repeat themselves,
    refuse, or answer at random; every step must end within ``most_asks`` asks. Then agents run
    with it and a model that echoes its prompt: no secret may leak to others, and no words of an
    untrusted agent may cause an acting tool call.
    """
    check = _PlannerCheck(make, most_asks)
    tried = tuple(situations) or default_situations()
    for number, situation in enumerate(tried):
        where = f"situation {number}"
        check.check_deterministic(situation, where)
        check.check_resumable(situation, where)
        for name, answerer in adversarial_answerers(situation.seed).items():
            check.check_step(situation, answerer(), f"{where}, a model that {name}")
    check.check_stateless(tried)
    for number, situation in enumerate(tried):
        check_confidentiality(make, situation, f"situation {number}")
        check_integrity(make, situation, f"situation {number}")


@dataclass(frozen=True, slots=True)
class _PlannerCheck:
    """One planner under examination."""

    make: Callable[[], Planner]
    max_asks: int

    def run_step(
        self, planner: Planner, situation: Situation, answer: Answerer, where: str
    ) -> tuple[Rounds, Decision]:
        """One step with a model: its rounds of asks and answers, and the decision."""
        rounds: Rounds = []
        count = 0
        try:
            thought = planner.decide(situation)
            asks = next(thought)
            while True:
                count += len(asks)
                if count > self.max_asks or len(rounds) > self.max_asks:
                    raise CONTRACT.violation(
                        "decide: ends within its bound", f"{where}: {count} asks"
                    )
                answers = tuple(answer(ask) for ask in asks)
                rounds.append((asks, answers))
                asks = thought.send(answers)
        except StopIteration as end:
            decision: Decision = end.value
        except PlannerError:
            raise
        except Exception as error:  # Any error of a planner under test is a finding.
            clause = "decide: no answer of a model raises an error"
            raise CONTRACT.violation(clause, f"{where}: {error!r}") from error
        CONTRACT.require(
            isinstance(decision, Decision), "decide: returns a Decision", f"{where}: {decision!r}"
        )
        return rounds, decision

    def check_step(self, situation: Situation, answer: Answerer, where: str) -> None:
        """Clauses about every step, whatever the model answers."""
        rounds, decision = self.run_step(self.make(), situation, answer, where)
        _check_action(situation, decision, where)
        _check_json(rounds, decision, where)
        _check_record_ids(situation, decision, where)

    def check_deterministic(self, situation: Situation, where: str) -> None:
        """The same situation, seed and answers give the same asks and the same decision."""
        clause = "decide: the same situation and answers give the same asks and decision"
        for number in (1, 2, 3):
            first = self.run_step(self.make(), situation, RandomAnswerer(number), where)
            second = self.run_step(self.make(), situation, RandomAnswerer(number), where)
            CONTRACT.require(
                _asks(first[0]) == _asks(second[0]), clause, f"{where}: the asks differ"
            )
            CONTRACT.require(first[1] == second[1], clause, f"{where}: the decisions differ")

    def check_stateless(self, situations: Sequence[Situation]) -> None:
        """A planner that has decided before decides as a new one does."""
        shared = self.make()
        clause = "decide: holds no state, so that agents can share one planner"
        for number, situation in enumerate([*situations, *situations]):
            where = f"situation {number % len(situations)}"
            used = self.run_step(shared, situation, RandomAnswerer(7), where)
            new = self.run_step(self.make(), situation, RandomAnswerer(7), where)
            CONTRACT.require(_asks(used[0]) == _asks(new[0]) and used[1] == new[1], clause, where)

    def check_resumable(self, situation: Situation, where: str) -> None:
        """A thought that is closed anywhere and rebuilt from its answers continues equally."""
        clause = "decide: a thought rebuilt from its answers so far continues equally"
        for answerer in (RepeatingAnswerer(1), RandomAnswerer(5)):
            rounds, decision = self.run_step(self.make(), situation, answerer, where)
            record = [AnsweredAsk(*pair) for asks, answers in rounds for pair in zip(asks, answers)]
            for cut in range(0, len(rounds), max(1, len(rounds) // 4)):
                planner = self.make()
                thought = planner.decide(situation)
                next(thought)
                for _, answers in rounds[:cut]:
                    thought.send(answers)
                thought.close()
                try:
                    resumed = retrace(planner.decide(situation), record, where)
                except ReplayDiverged as error:
                    raise CONTRACT.violation(clause, str(error)) from error
                CONTRACT.require(resumed == decision, clause, f"{where}: another decision")


def _asks(rounds: Rounds) -> list[tuple[Ask, ...]]:
    return [asks for asks, _ in rounds]


def _check_action(situation: Situation, decision: Decision, where: str) -> None:
    """The action is one of the affordances, with valid fields; without affordances any goes."""
    clause, action = "decide: chooses one of the affordances", decision.action
    if not situation.can:
        return
    target = (action.verb, action.target)
    matching = [option for option in situation.can if (option.verb, option.target) == target]
    CONTRACT.require(bool(matching), clause, f"{where}: {action.verb} '{action.target}'")
    schema = matching[0].fields
    valid = not schema or satisfies_schema(action.fields, schema)
    CONTRACT.require(valid, clause, f"{where}: {action.verb} with {action.fields!r}")


def _check_json(rounds: Rounds, decision: Decision, where: str) -> None:
    """State, records and asks survive JSON unchanged."""
    clause = "the state, the records and the asks survive JSON unchanged"
    asks = [ask for round_asks, _ in rounds for ask in round_asks]
    try:
        state = from_json(AgentState, json.loads(canonical(to_json(decision.state))))
        records = [from_json(Record, json.loads(canonical(to_json(r)))) for r in decision.records]
        copies = [ask_from_json(json.loads(canonical(to_json(ask)))) for ask in asks]
    except (TypeError, ValueError) as error:
        raise CONTRACT.violation(clause, f"{where}: {error}") from error
    CONTRACT.require(state == decision.state, clause, f"{where}: the state")
    CONTRACT.require(records == list(decision.records), clause, f"{where}: the records")
    same_asks = [to_json(copy) for copy in copies] == [to_json(ask) for ask in asks]
    CONTRACT.require(same_asks, clause, f"{where}: the asks")


def _check_record_ids(situation: Situation, decision: Decision, where: str) -> None:
    """New records continue the numbers of the state, which counts them."""
    clause = "decide: new records continue the numbers of state.records, which counts them"
    first = situation.state.records + 1
    numbers = [record.id for record in decision.records]
    CONTRACT.require(
        numbers == list(range(first, first + len(numbers))), clause, f"{where}: {numbers}"
    )
    count = decision.state.records
    CONTRACT.require(count == situation.state.records + len(numbers), clause, f"{where}: {count}")
