"""The live line of a run."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..simulation import Simulation, Tick

REPORT_SECONDS = 15.0
"""How often a line is printed where none can be redrawn (a pipe, a log)."""


class Meter:
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

    def count(self, tick: Tick) -> None:
        """Take a tick in."""
        for cost in tick.spent:
            self.calls += cost.calls
            self.prompt += cost.tokens_in
            self.reused += cost.tokens_reused
            self.generated += cost.tokens_out

    def line(self) -> str:
        """Simulated time, steps/s, model calls, tokens/s and how many of those read were
        reused, time left."""
        seconds = max(time.perf_counter() - self._began, 1e-6)
        done = self.simulation.step - self._first
        parts = [
            f"{self.simulation.now:%a %H:%M:%S}",
            f"step {self.simulation.step}" + (f" of {self._end}" if self._end else ""),
            f"{done / seconds:.2f} steps/s",
            f"{self.calls} model calls",
            f"{(self.prompt + self.generated) / seconds:.0f} tokens/s",
        ]
        if self.reused:
            parts.append(f"{self.reused / self.prompt:.0%} reused")
        if self._end and done:
            left = (self._end - self.simulation.step) * seconds / done
            parts.append(f"{int(left // 60)}:{int(left % 60):02d} left")
        return " · ".join(parts)


@contextmanager
def live_line(console: Console, meter: Meter) -> Iterator[None]:
    """Redraw the meter's line while the block runs; where nothing can be redrawn, print it
    from time to time."""
    simulation = meter.simulation
    simulation.observers.append(meter.count)
    if console.is_terminal:
        with Live(Text(meter.line()), console=console, refresh_per_second=4) as live:
            simulation.observers.append(lambda tick: live.update(Text(meter.line())))
            yield
        return
    last = [time.perf_counter()]

    def report(tick: Tick) -> None:
        if time.perf_counter() - last[0] >= REPORT_SECONDS:
            last[0] = time.perf_counter()
            console.print(meter.line())

    simulation.observers.append(report)
    yield


@contextmanager
def stop_cleanly(simulation: Simulation, console: Console) -> Iterator[None]:
    """Let the first Ctrl-C end the run at the step's end; the second one breaks it off."""

    def stop(number: int, frame: FrameType | None) -> None:
        if simulation.stopping:
            raise KeyboardInterrupt
        simulation.stopping = True
        console.print("Stopping at the end of this step (Ctrl-C again breaks it off).")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        sys.stderr.flush()
