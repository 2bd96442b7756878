"""A loop of frames at a fixed rate, and the times of its frames."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator


class FrameLoop:
    """Frames at ``rate`` a second. ``label`` says what goes on; times are kept for each label.

    A frame time is the time from the start of a frame to the start of the next one: 16.7 ms at 60
    frames a second, longer where the loop came too late.
    """

    def __init__(self, rate: float = 60.0) -> None:
        self.length = 1.0 / rate
        self.label = "idle"
        self.frame_times: dict[str, list[float]] = defaultdict(list)
        self.work_times: dict[str, list[float]] = defaultdict(list)

    def frames(self) -> Iterator[float]:
        """The seconds since the last frame, frame after frame; the body of the loop is its work."""
        started = time.perf_counter()
        due = started + self.length
        passed = self.length
        while True:
            yield passed
            self.work_times[self.label].append(time.perf_counter() - started)
            time.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            passed, started = now - started, now
            self.frame_times[self.label].append(passed)
            # After a hitch the loop goes on from now, and does not run faster to catch up.
            due = max(due + self.length, now + self.length / 2)

    def figures(self) -> dict[str, dict[str, float]]:
        """For each label the number of frames, and in ms the median, the 99th percentile and the
        longest of the frame times, and the 99th percentile of the work times."""
        return {
            label: {
                "frames": len(times),
                "p50": round(1000 * statistics.median(times), 1),
                "p99": round(1000 * _percentile(times, 0.99), 1),
                "max": round(1000 * max(times), 1),
                "work_p99": round(1000 * _percentile(self.work_times[label], 0.99), 1),
            }
            for label, times in self.frame_times.items()
        }


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
