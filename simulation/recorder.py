"""Answers from the record first, from living minds else; every new answer is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core import Answer, Ask, AskHandler, AskId, ReplayDiverged, digest, to_json
from ..models import Usage, sum_usage
from .failures import AnsweredAsk, FailureMonitor
from .journal import Journal
from .row_codec import EncodedAsk, encode_ask
from .run_usage import TokenBudget, UsageCollector


class Recorder:
    """Faculties of one tick.

    What is on record is answered from it, checked by the ask's digest; everything else
    goes to ``inner`` and is written to the journal's pending table as it arrives, with what
    it cost. Without ``inner`` (a replay) an ask that is not on record is an error. Once the
    day's cap is reached nothing new is asked; what is open is awaited and kept.
    """

    def __init__(
        self,
        inner: AskHandler | None,
        journal: Journal,
        record: Mapping[AskId, tuple[str, Answer]],
        *,
        step: int,
        usage: UsageCollector,
        budget: TokenBudget,
        failures: FailureMonitor,
    ) -> None:
        self._inner = inner
        self._step = step
        self._usage = usage
        self._budget = budget
        self._failures = failures
        self._budget_exhausted = False
        self._new_usage: list[Usage] = []
        self._journal = journal
        self._record = record
        self._ready: list[tuple[AskId, Answer]] = []
        self._open: dict[AskId, tuple[str, Ask]] = {}
        self._unasked = set(record)
        self.answered: list[AnsweredAsk] = []
        """All asks of the step with their answers, in the order in which these came."""
        self.new = 0

    def submit(self, where: AskId, ask: Ask) -> None:
        """Take an ask in. Raises ReplayDiverged when it is not the recorded one."""
        key = digest(to_json(ask))
        if where in self._record:
            recorded, answer = self._record[where]
            if recorded != key:
                raise ReplayDiverged(
                    f"step {where.step}, {where.agent}, ask {where.path} ({ask.kind}) differs "
                    "from the recorded one; the run was made by other code, prompts or settings: "
                    "use the version that made it, or fork the run before this step"
                )
            self._ready.append((where, answer))
            self.answered.append((where, ask, answer))
            self._unasked.discard(where)
            return
        if self._inner is None:
            raise ReplayDiverged(
                f"step {where.step}, {where.agent}, ask {where.path} ({ask.kind}) is not on "
                "record; the run was made by other code, prompts or settings"
            )
        if self._budget.is_spent(self._step):
            self._budget_exhausted = True
            return
        self._open[where] = (key, ask)
        self._inner.submit(where, ask)

    def finish(self) -> None:
        """Say that all thoughts have ended. Raises ReplayDiverged when something on record
        was never asked."""
        if self._unasked:
            where = min(self._unasked)
            raise ReplayDiverged(
                f"step {where.step}, {where.agent}, ask {where.path} is on record and was not "
                "asked; the run was made by other code, prompts or settings: use the version "
                "that made it, or fork the run before this step"
            )

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Recorded answers first; then new ones, which are durable when this returns.
        Raises BudgetExceeded when all that is left was held back."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if self._budget_exhausted and not self._open:
            raise self._budget.interrupted_error(self._step)
        if self._inner is None or not self._open:
            raise RuntimeError("nothing was submitted that could still be answered")
        answers = self._inner.wait()
        packed: list[EncodedAsk] = []
        answered: list[AnsweredAsk] = []
        with self._journal.store.transaction():
            for where, answer in answers:
                key, ask = self._open.pop(where)
                packed.append(encode_ask(self._journal.store, where, ask, key, answer))
                answered.append((where, ask, answer))
            self._journal.save_pending(packed)
            self._record_usage(self._usage.take(answered))
        self.new += len(packed)
        self.answered += answered
        self._failures.warn_new(answered)
        return answers

    def settle(self) -> tuple[Usage, ...]:
        """Write down what the models entered late, inside the caller's transaction; all that
        the step's new answers cost."""
        if self._inner is not None:
            self._record_usage(self._usage.take(()))
        return sum_usage(self._new_usage)

    def _record_usage(self, costs: Sequence[Usage]) -> None:
        if costs:
            self._journal.usage.add(self._step, costs)
            self._budget.add(self._step, costs)
            self._new_usage.extend(costs)
