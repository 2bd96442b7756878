"""The progress of a run in one line of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol

from ..core import Time
from .tick import Tick

REPORT_SECONDS = 15.0  # the interval of printed lines where no line can be redrawn (a pipe, a log)


class ProgressSource(Protocol):
    """What a ProgressMeter reads of a simulation."""

    step: int

    @property
    def now(self) -> Time: ...

    @property
    def answers(self) -> int: ...


class ProgressMeter:
    """Counts what a run does until step ``end`` (None: unknown)."""

    def __init__(self, simulation: ProgressSource, end: int | None) -> None:
        self._simulation = simulation
        self._first = simulation.step
        self._end = end
        self._began = time.perf_counter()
        self.calls = 0
        self.prompt = 0
        self.reused = 0
        self.generated = 0
        self.failed = 0

    def add(self, tick: Tick) -> None:
        """Count a committed step."""
        self.failed += len(tick.failed)
        for cost in tick.spent:
            self.calls += cost.calls
            self.prompt += cost.tokens_in
            self.reused += cost.tokens_reused
            self.generated += cost.tokens_out

    def summary_line(self) -> str:
        """Simulated time, steps/s, model calls, failures, tokens/s, the share of prompt tokens
        that were reused from the cache, time left."""
        seconds = max(time.perf_counter() - self._began, 1e-6)
        step, answers = self._simulation.step, self._simulation.answers
        done = step - self._first
        parts = [
            f"{self._simulation.now:%a %H:%M:%S}",
            f"step {step}" + (f" of {self._end}" if self._end else ""),
            f"{done / seconds:.2f} steps/s",
            f"{self.calls} model calls" + (f" + {answers}" if answers else ""),
            f"{(self.prompt + self.generated) / seconds:.0f} tokens/s",
        ]
        if self.failed:
            parts.insert(4, f"{self.failed} failed")
        if self.reused:
            parts.append(f"{self.reused / self.prompt:.0%} reused")
        if self._end and done:
            left = (self._end - step) * seconds / done
            parts.append(f"{int(left // 60)}:{int(left % 60):02d} left")
        return " · ".join(parts)


class ProgressReporter:
    """An observer that passes the meter's line to ``print_line`` after the first step, and then at
    most once in ``every`` seconds."""

    def __init__(
        self,
        meter: ProgressMeter,
        print_line: Callable[[str], None],
        *,
        every: float = REPORT_SECONDS,
    ) -> None:
        self._meter = meter
        self._print_line = print_line
        self._every = every
        self._due = 0.0

    def __call__(self, tick: Tick) -> None:
        """Count a committed step, and report if that is due."""
        self._meter.add(tick)
        if time.perf_counter() >= self._due:
            self._due = time.perf_counter() + self._every
            self._print_line(self._meter.summary_line())


def to_stderr(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def to_terminal() -> Callable[[str], None] | None:
    """The default output of progress: standard error if it is a terminal, else None."""
    return to_stderr if sys.stderr is not None and sys.stderr.isatty() else None
