"""The simulation of a live town: a thread that makes its steps, and takes inputs between them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import timedelta
from typing import Literal, TypeAlias

from ...core import (
    PERSON_INPUT_KINDS,
    AgentId,
    ApprovalRequired,
    AsksFailed,
    BudgetExceeded,
    DenizensError,
    Input,
    Json,
    SettingError,
    Time,
    to_json,
)
from ...simulation import Simulation, Tick
from .live_feed import LiveFeed
from .visitor_view import VisitorViews

TownState: TypeAlias = Literal["playing", "paused", "thinking", "waiting", "ended", "fault"]

DEFAULT_PACE = 3.0
"""Real seconds that a simulated minute takes."""
MAX_PACE = 3600.0
MAX_WAITING_INPUTS = 64
"""Inputs that may wait for the end of a step; further ones are refused."""
PATIENCE_WITH_MINDS = 1.0
"""Seconds beyond its time after which a step under way is shown as thinking."""

log = logging.getLogger(__name__)


class TownBusy(DenizensError):
    """Too many inputs wait already."""


class LiveTown:
    """Steps a simulation at the pace of a clock, in a thread of its own.

    A simulated minute takes ``pace`` real seconds (0: as fast as the minds think). Where the minds
    need longer for a step, time waits for them: nothing is made up for later. Inputs are taken
    between two steps. All methods may be called from any thread.
    """

    live = True

    def __init__(
        self,
        simulation: Simulation,
        feed: LiveFeed,
        *,
        until: Time | None = None,
        pace: float = DEFAULT_PACE,
        playing: bool = True,
    ) -> None:
        self.simulation = simulation
        self.feed = feed
        self.views = VisitorViews(simulation)
        end = simulation.end(until=until)
        if end is None:
            raise SettingError("a live town needs an end: give --until, or 'until' in its scenario")
        self._end: int = end
        self._pace = checked_pace(pace)
        self._playing = playing
        self._wake = threading.Condition()
        self._waiting: deque[tuple[Input, Future[None]]] = deque()
        self._steps_owed = 0
        self._stopping = False
        self._due = 0.0
        self._step_began: float | None = None
        self._behind = 0.0
        self._message = ""
        self._fault = ""
        self._thread = threading.Thread(target=self._main, name="live town", daemon=True)
        simulation.observers.append(self._observe)

    # -- control -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self.feed.advance({"visitors": self.views.update()})
        self._thread.start()

    def stop(self, seconds: float | None = None) -> bool:
        """End after the step under way, waiting at most so long; whether it has ended."""
        with self._wake:
            self._stopping = True
            self.simulation.stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def play(self) -> None:
        """Go on making steps."""
        with self._wake:
            self._playing, self._due, self._message = True, 0.0, ""
            self._wake.notify_all()
        self.feed.rouse()

    def pause(self) -> None:
        """Make no further step after the one under way."""
        with self._wake:
            self._playing, self._steps_owed = False, 0
            self._wake.notify_all()
        self.feed.rouse()

    def step(self, count: int = 1) -> None:
        """Pause, and make ``count`` steps at once."""
        with self._wake:
            self._playing, self._message = False, ""
            self._steps_owed = min(self._steps_owed + count, 100)
            self._wake.notify_all()
        self.feed.rouse()

    def set_pace(self, pace: float) -> None:
        """Let a simulated minute take ``pace`` seconds. Raises SettingError."""
        with self._wake:
            self._pace = checked_pace(pace)
            self._due = 0.0
            self._wake.notify_all()
        self.feed.rouse()

    def extend(self, minutes: int) -> None:
        """Let the run go on for so many simulated minutes after its end."""
        seconds = timedelta(minutes=minutes).total_seconds()
        with self._wake:
            steps = max(1, round(seconds / self.simulation.clock.step_seconds))
            self._end = max(self._end, self.simulation.step) + steps
            self._wake.notify_all()
        self.feed.rouse()

    def submit(self, given: Input) -> Future[None]:
        """Give an input to the next step. The future is done once it is recorded, and fails with
        SettingError if it cannot happen. Raises TownBusy."""
        future: Future[None] = Future()
        with self._wake:
            if len(self._waiting) >= MAX_WAITING_INPUTS:
                raise TownBusy(f"{MAX_WAITING_INPUTS} inputs wait for this step to end; try later")
            if self._stopping or self._fault:
                raise SettingError("the town has stopped; nothing more can happen in it")
            self._waiting.append((given, future))
            self._wake.notify_all()
        return future

    def allow(self, key: str, yes: bool) -> None:
        """Answer a tool call that waits for approval, and go on. Raises SettingError."""
        self.simulation.allow(key, yes, by="the live page")
        self.play()

    # -- what is shown -----------------------------------------------------------------------

    def status(self) -> dict[str, Json]:
        """The state of the town in a few words, without waiting for the step under way."""
        simulation = self.simulation
        interval = self._interval
        began, now = self._step_began, time.monotonic()
        late = now - began - interval if began is not None else 0.0
        state: TownState = "playing" if self._playing or self._steps_owed else "paused"
        if self._fault:
            state = "fault"
        elif began is not None and late > PATIENCE_WITH_MINDS:
            state = "thinking"
        elif self._message:
            state = "waiting"
        elif simulation.step >= self._end:
            state = "ended"
        status: dict[str, Json] = {
            "live": True,
            "state": state,
            "playing": self._playing,
            "step": simulation.step,
            "step_seconds": simulation.clock.step_seconds,
            "pace": self._pace,
            "end": self._end,
            "behind": round(self._behind, 1),
            "message": self._fault or self._message,
            "readers": self.feed.readers,
        }
        if state == "thinking":
            status |= {"thinking": int(late + interval), "answers": simulation.answers}
        if isinstance(simulation.halted, ApprovalRequired):
            status["requests"] = [to_json(request) for request in simulation.requests()]
        return status

    @property
    def agents(self) -> tuple[AgentId, ...]:
        """The names of the agents."""
        return tuple(self.simulation.agents)

    # -- the thread --------------------------------------------------------------------------

    @property
    def _interval(self) -> float:
        return self._pace * self.simulation.clock.step_seconds / 60

    @property
    def _may_step(self) -> bool:
        wanted = self._playing or self._steps_owed > 0
        return wanted and not self._message and self.simulation.step < self._end

    def _main(self) -> None:
        try:
            while self._next_turn():
                self._take_inputs()
                with self._wake:
                    due = self._may_step and time.monotonic() >= self._due
                if due and not self._stopping:
                    self._make_step()
        except BaseException as error:
            log.exception("the live town broke down")
            self._fault = f"the town stopped: {error}"
        finally:
            self._refuse_waiting()
            self.feed.settle()
            self.feed.rouse()

    def _next_turn(self) -> bool:
        """Wait until there is something to do; False once the town must stop."""
        with self._wake:
            while not self._stopping and not self._waiting:
                delay = self._due - time.monotonic() if self._may_step else None
                if delay is not None and delay <= 0:
                    break
                if delay is None:
                    self.feed.settle()
                self._wake.wait(delay)
            return not self._stopping

    def _take_inputs(self) -> None:
        """Record the inputs that wait for the next step."""
        while True:
            with self._wake:
                if not self._waiting:
                    return
                given, future = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                self.simulation.add(given)
            except DenizensError as error:
                future.set_exception(error)
            else:
                future.set_result(None)
                if given.kind in PERSON_INPUT_KINDS and not self._playing:
                    self.feed.publish("pending", {"who": given.who, "kind": given.kind})

    def _make_step(self) -> None:
        simulation = self.simulation
        began = self._step_began = time.monotonic()
        try:
            simulation.tick()
        except (BudgetExceeded, ApprovalRequired) as reason:
            simulation.halted = reason
            self._message = str(reason)
            self._playing = False
        else:
            simulation.halted = None
        finally:
            self._step_began = None
        now = time.monotonic()
        self._behind = max(0.0, now - began - self._interval)
        with self._wake:
            self._steps_owed = max(0, self._steps_owed - 1)
            # Time that the minds took is not made up for.
            self._due = max(began + self._interval, now) if self._playing else 0.0
        failed = None if simulation.keep_going else simulation.failures.stop_reason()
        if failed is not None:
            self._pause_for(failed)
        self.feed.rouse()

    def _pause_for(self, failed: AsksFailed) -> None:
        with self._wake:
            self._playing, self._steps_owed = False, 0
            self._message = f"{failed}; play goes on all the same"

    def _observe(self, tick: Tick) -> None:
        """Publish a committed step. Called by the simulation in this thread."""
        self.views.note(tick)
        self.feed.advance({"visitors": self.views.update()})
        for who, texts in self.views.notices(tick).items():
            for text in texts:
                self.feed.publish("notice", {"who": who, "text": text})

    def _refuse_waiting(self) -> None:
        with self._wake:
            self._stopping = True
            waiting = list(self._waiting)
            self._waiting.clear()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(SettingError("the town has stopped; this did not happen"))


class RecordedTown:
    """A run that is only read: finished, or being written by another process, which is followed."""

    live = False
    POLL_SECONDS = 0.7

    def __init__(self, feed: LiveFeed, agents: Mapping[AgentId, object], step_seconds: int) -> None:
        self.feed = feed
        self.agents = tuple(agents)
        self._step_seconds = step_seconds
        self._stopped = threading.Event()
        self._steps = 0
        self._fault = ""
        self._thread = threading.Thread(target=self._main, name="recorded town", daemon=True)

    def start(self) -> None:
        """Start to follow the file."""
        self.feed.advance()
        self._thread.start()

    def stop(self, seconds: float | None = None) -> bool:
        """End following it; whether the thread has ended."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def status(self) -> dict[str, Json]:
        """The state of the town in a few words."""
        return {
            "live": False,
            "state": "fault" if self._fault else "recorded",
            "playing": False,
            "step": self.feed.steps,
            "step_seconds": self._step_seconds,
            "message": self._fault,
            "readers": self.feed.readers,
        }

    def _main(self) -> None:
        while not self._stopped.wait(self.POLL_SECONDS):
            try:
                self.feed.advance()
                self.feed.settle()
            except DenizensError as error:
                self._fault = f"the run cannot be read further: {error}"
                self.feed.rouse()
                return


def checked_pace(pace: float) -> float:
    """Seconds for a simulated minute. Raises SettingError."""
    if not 0 <= pace <= MAX_PACE:
        raise SettingError(f"pace {pace} is none: give 0 to {MAX_PACE:.0f} seconds a minute")
    return float(pace)
