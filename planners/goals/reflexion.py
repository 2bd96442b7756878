"""Reflexion: try, judge the attempt, learn a lesson, try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...core import (
    Choice,
    Choose,
    Completion,
    Cue,
    Decision,
    Generate,
    Option,
    Recall,
    Recalled,
    Situation,
    Thought,
    choose,
    generate,
    recall,
)
from ..steps import render_prompt
from .goal_queue import pursue_goals
from .react import React
from .tasks import Task, TaskOutcome, TaskWorker, ToolCallRecord, context_lines, known_facts

LESSON_PREFIX = "Lesson"
"""What a lesson in memory begins with."""
RIGHT = Option("right", "It answers what was wanted, and what was found bears it out.")
WRONG = Option("wrong", "It does not answer what was wanted, or nothing bears it out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflexion:
    """Learns from its own failed attempts through memory (Shinn et al. 2023).

    ``worker`` makes an attempt; it is judged by ``check`` where the task brings one (what is
    wrong with the outcome, or an empty text), else by likelihood. After a failed one a lesson
    is written, remembered as a thought, and read before the next try; lessons of like tasks
    are recalled before the first. At most ``tries`` attempts.
    """

    worker: TaskWorker = field(default_factory=React)
    tries: int = 3
    lessons: int = 3
    check: Callable[[Task, TaskOutcome], str] | None = None

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Work on the first open goal; without one, go on or wait."""
        return (yield from pursue_goals(self, situation))

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Try until an attempt is judged right, waits, or the tries are used up."""
        progress = task.progress if isinstance(task.progress, dict) else {}
        begun = int(progress.get("tries", 0))
        learned = list(progress.get("lessons", ()))
        before = learned or (yield from self._recall_lessons(task))
        attempt = replace(task, progress=progress.get("inner"))
        calls: list[ToolCallRecord] = list(task.made)
        outcome = TaskOutcome(status="stopped", why="no try is left")
        for number in range(begun, self.tries):
            hints = (*task.hints, *dict.fromkeys([*before, *learned]))
            seed = task.seed.child("try", number)
            outcome = yield from self.worker.work(replace(attempt, hints=hints, seed=seed))
            calls += [one for one in outcome.calls if one not in calls]
            if outcome.status == "waiting":
                kept = {"tries": number, "lessons": learned, "inner": outcome.progress}
                kept["made"] = (outcome.progress or {}).get("made", [])
                return replace(outcome, progress=kept)
            if outcome.status == "failed":
                break
            wrong = yield from self._judge(task, outcome)
            if not wrong:
                return replace(outcome, calls=tuple(calls), lessons=tuple(learned))
            outcome = replace(outcome, why=wrong)
            if number + 1 < self.tries:
                lesson = yield from self._write_lesson(task, outcome)
                learned += [lesson] if lesson else []
            # What was found stays known, and nothing is done a second time.
            attempt = replace(task, made=tuple(calls), progress=None)
        status = "gave_up" if outcome.status == "done" else outcome.status
        return replace(outcome, status=status, calls=tuple(calls), lessons=tuple(learned))

    def _recall_lessons(self, task: Task) -> Thought[list[str]]:
        """Lessons that memory holds on tasks like this one."""
        cue = Cue(text=f"{LESSON_PREFIX}: {task.goal}", at=task.now, limit=12, kinds=("thought",))
        found = yield from recall(Recall(cue=cue))
        hits = found.hits if isinstance(found, Recalled) else ()
        texts = [hit.record.text for hit in hits if hit.record.text.startswith(LESSON_PREFIX)]
        return texts[: self.lessons]

    def _judge(self, task: Task, outcome: TaskOutcome) -> Thought[str]:
        """What is wrong with an attempt; empty when it is right."""
        if outcome.status != "done":
            return outcome.why or outcome.status
        if self.check is not None:
            return self.check(task, outcome)
        found = " ".join(known_facts(task, outcome.calls)[-4:])
        picked = yield from choose(
            Choose(
                messages=(),
                options=(RIGHT, WRONG),
                about=f"{task.goal} {found} Answer: {outcome.answer}",
                role="judge",
                seed=task.seed.child("judge").number,
            )
        )
        if not isinstance(picked, Choice):
            return ""  # Nobody can judge it; a second try would be judged no better.
        return "" if picked.index == 0 else f"judged wrong: {outcome.answer}"

    def _write_lesson(self, task: Task, outcome: TaskOutcome) -> Thought[str]:
        """A sentence on what to do otherwise the next time."""
        said = yield from generate(
            Generate(
                messages=render_prompt(
                    "lesson",
                    goal=task.goal,
                    notes=context_lines(task, outcome.calls) or ["nothing was done"],
                    why=outcome.why,
                ),
                max_tokens=48,
                temperature=0.0,
                seed=task.seed.child("lesson").number,
                stop=("\n",),
                role="reflect",
            )
        )
        if not isinstance(said, Completion) or not said.text.strip():
            return ""
        return f"{LESSON_PREFIX} on '{task.goal}': {said.text.strip()}"
