"""How far a run has come, in a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .simulation import Simulation, Tick

REPORT_SECONDS = 15.0
"""How often a line is printed where none can be redrawn (a pipe, a log)."""


class ProgressMeter:
    """Counts what a run does and says it in a line."""

    def __init__(self, simulation: Simulation, end: int | None) -> None:
        self.simulation = simulation
        self._first = simulation.step
        self._end = end
        self._began = time.perf_counter()
        self.calls = 0
        self.prompt = 0
        self.reused = 0
        self.generated = 0
        self.failed = 0

    def add(self, tick: Tick) -> None:
        """Take a tick in."""
        self.failed += len(tick.failed)
        for cost in tick.spent:
            self.calls += cost.calls
            self.prompt += cost.tokens_in
            self.reused += cost.tokens_reused
            self.generated += cost.tokens_out

    def summary_line(self) -> str:
        """Simulated time, steps/s, model calls, failures, tokens/s and how many of those read
        were reused, time left."""
        seconds = max(time.perf_counter() - self._began, 1e-6)
        done = self.simulation.step - self._first
        parts = [
            f"{self.simulation.now:%a %H:%M:%S}",
            f"step {self.simulation.step}" + (f" of {self._end}" if self._end else ""),
            f"{done / seconds:.2f} steps/s",
            f"{self.calls} model calls",
            f"{(self.prompt + self.generated) / seconds:.0f} tokens/s",
        ]
        if self.failed:
            parts.insert(4, f"{self.failed} failed")
        if self.reused:
            parts.append(f"{self.reused / self.prompt:.0%} reused")
        if self._end and done:
            left = (self._end - self.simulation.step) * seconds / done
            parts.append(f"{int(left // 60)}:{int(left % 60):02d} left")
        return " · ".join(parts)


class ProgressReporter:
    """Says a meter's line from time to time: an observer for where no line can be redrawn."""

    def __init__(
        self, meter: ProgressMeter, say: Callable[[str], None], *, every: float = REPORT_SECONDS
    ) -> None:
        self._meter = meter
        self._say = say
        self._every = every
        self._last = time.perf_counter()

    def __call__(self, tick: Tick) -> None:
        """Take a tick in, and report when that is due."""
        self._meter.add(tick)
        if time.perf_counter() - self._last >= self._every:
            self._last = time.perf_counter()
            self._say(self._meter.summary_line())


def to_stderr(text: str) -> None:
    """A line for people, on standard error."""
    print(text, file=sys.stderr, flush=True)


def to_terminal() -> Callable[[str], None] | None:
    """Where lines go that nobody asked for: standard error if a person sees it, else nowhere."""
    return to_stderr if sys.stderr is not None and sys.stderr.isatty() else None
