"""Answers the asks of a step from the record or from models, and records new answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core import Answer, Ask, AskHandler, AskId, ReplayDiverged, digest, to_json
from ...models import Usage, sum_usage
from .failures import AnsweredAsk, FailureMonitor
from .journal import Journal
from .row_codec import EncodedAsk, encode_ask
from .run_usage import TokenBudget, UsageCollector


class Recorder:
    """The AskHandler of one step.

    A recorded ask is answered from the record after comparing digests; every other ask goes to
    ``inner``, and its answer is written to the journal's pending table as it arrives, with its
    cost. Without ``inner`` (a replay) an ask that is not on record is an error. Once the day's cap
    is reached no new ask is submitted; answers to open asks are awaited and recorded.
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
        self._journal = journal
        self._record = record
        self._step = step
        self._usage = usage
        self._budget = budget
        self._failures = failures
        self._budget_exhausted = False
        self._new_usage: list[Usage] = []
        self._ready: list[tuple[AskId, Answer]] = []
        self._open: dict[AskId, tuple[str, Ask]] = {}
        self._unasked = set(record)
        self.answered: list[AnsweredAsk] = []
        """All asks of the step with their answers, in the order of arrival."""
        self.new = 0  # how many answers were not on record

    def submit(self, where: AskId, ask: Ask) -> None:
        """Submit an ask. Raises ReplayDiverged when it differs from the recorded one."""
        ask_digest = digest(to_json(ask))
        name = f"step {where.step}, {where.agent}, ask {where.path} ({ask.kind})"
        if where in self._record:
            recorded_digest, answer = self._record[where]
            if recorded_digest != ask_digest:
                raise ReplayDiverged(
                    f"{name} differs from the recorded one; the run was made by other code, "
                    "prompts or settings: use the version that made it, or fork the run before "
                    "this step"
                )
            self._ready.append((where, answer))
            self.answered.append((where, ask, answer))
            self._unasked.discard(where)
            return
        if self._inner is None:
            raise ReplayDiverged(
                f"{name} is not on record; the run was made by other code, prompts or settings"
            )
        if self._budget.is_spent(self._step):
            self._budget_exhausted = True
            return
        self._open[where] = (ask_digest, ask)
        self._inner.submit(where, ask)

    def finish(self) -> None:
        """Check that all recorded asks were submitted. Raises ReplayDiverged."""
        if self._unasked:
            where = min(self._unasked)
            raise ReplayDiverged(
                f"step {where.step}, {where.agent}, ask {where.path} is on record and was not "
                "asked; the run was made by other code, prompts or settings: use the version "
                "that made it, or fork the run before this step"
            )

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """Recorded answers first, then new ones, which are durable when this returns. Raises
        BudgetExceeded when the cap keeps all remaining asks from being submitted."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if self._budget_exhausted and not self._open:
            raise self._budget.interrupted_error(self._step)
        if self._inner is None or not self._open:
            raise RuntimeError("nothing was submitted that could still be answered")
        answers = self._inner.wait()
        encoded: list[EncodedAsk] = []
        answered: list[AnsweredAsk] = []
        with self._journal.store.transaction():
            for where, answer in answers:
                ask_digest, ask = self._open.pop(where)
                encoded.append(encode_ask(self._journal.store, where, ask, ask_digest, answer))
                answered.append((where, ask, answer))
            self._journal.save_pending(encoded)
            self._record_usage(self._usage.take(answered))
        self.new += len(encoded)
        self.answered += answered
        self._failures.warn_new(answered)
        return answers

    def settle(self) -> tuple[Usage, ...]:
        """Write late reported costs, within a transaction; returns all costs of the step."""
        if self._inner is not None:
            self._record_usage(self._usage.take(()))
        return sum_usage(self._new_usage)

    def _record_usage(self, costs: Sequence[Usage]) -> None:
        if costs:
            self._journal.usage.add(self._step, costs)
            self._budget.add(self._step, costs)
            self._new_usage.extend(costs)
