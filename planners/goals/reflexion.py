"""Reflexion (Shinn et al. 2023): attempt, judge, write a lesson, try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...core import Choice, Completion, Cue, Generate, Option, Thought, generate
from ..steps import choose_among, recall_records, render_prompt
from .goal_queue import GoalPlanner
from .react import React
from .tasks import Task, TaskOutcome, TaskWorker, ToolCallRecord, context_lines, known_facts

LESSON_PREFIX = "Lesson"
"""Prefix of the records that are lessons."""
RIGHT = Option("right", "It answers what was wanted, and what was found bears it out.")
WRONG = Option("wrong", "It does not answer what was wanted, or nothing bears it out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflexion(GoalPlanner):
    """Learns from failed attempts through memory (Shinn et al. 2023).

    ``worker`` makes at most ``tries`` attempts. ``check`` judges an outcome by returning what is
    wrong with it, or an empty text; without it the model judges by likelihood. After a failed
    attempt a lesson is generated, stored as a record of kind "thought", and given to the next
    attempt; ``lessons`` is how many lessons of similar tasks are recalled before the first.
    """

    worker: TaskWorker = field(default_factory=React)
    tries: int = 3
    lessons: int = 3
    check: Callable[[Task, TaskOutcome], str] | None = None

    def work(self, task: Task) -> Thought[TaskOutcome]:
        """Attempt the task until an outcome is judged right or waits, or no try is left."""
        progress = task.progress if isinstance(task.progress, dict) else {}
        first_try = int(progress.get("tries", 0))
        learned = list(progress.get("lessons", ()))
        recalled = learned or (yield from self._recall_lessons(task))
        attempt = replace(task, progress=progress.get("inner"))
        calls: list[ToolCallRecord] = list(task.calls)
        outcome = TaskOutcome(status="stopped", why="no try is left")
        for number in range(first_try, self.tries):
            hints = (*task.hints, *dict.fromkeys([*recalled, *learned]))
            seed = task.seed.child("try", number)
            outcome = yield from self.worker.work(replace(attempt, hints=hints, seed=seed))
            calls += [call for call in outcome.calls if call not in calls]
            if outcome.status == "waiting":
                progress = {"tries": number, "lessons": learned, "inner": outcome.progress}
                progress["made"] = (outcome.progress or {}).get("made", [])
                return replace(outcome, progress=progress)
            if outcome.status == "failed":
                break
            problem = yield from self._judge(task, outcome)
            if not problem:
                return replace(outcome, calls=tuple(calls), lessons=tuple(learned))
            outcome = replace(outcome, why=problem)
            if number + 1 < self.tries:
                lesson = yield from self._write_lesson(task, outcome)
                learned += [lesson] if lesson else []
            # The next attempt knows the results and repeats no call.
            attempt = replace(task, calls=tuple(calls), progress=None)
        status = "gave_up" if outcome.status == "done" else outcome.status
        return replace(outcome, status=status, calls=tuple(calls), lessons=tuple(learned))

    def _recall_lessons(self, task: Task) -> Thought[list[str]]:
        cue = Cue(text=f"{LESSON_PREFIX}: {task.goal}", at=task.now, limit=12, kinds=("thought",))
        records = yield from recall_records(cue)
        texts = [record.text for record in records if record.text.startswith(LESSON_PREFIX)]
        return texts[: self.lessons]

    def _judge(self, task: Task, outcome: TaskOutcome) -> Thought[str]:
        """What is wrong with an outcome; empty if it is right."""
        if outcome.status != "done":
            return outcome.why or outcome.status
        if self.check is not None:
            return self.check(task, outcome)
        facts = " ".join(known_facts(task, outcome.calls)[-4:])
        about = f"{task.goal} {facts} Answer: {outcome.answer}"
        seed = task.seed.child("judge").number
        choice = yield from choose_among((RIGHT, WRONG), about=about, role="judge", seed=seed)
        if not isinstance(choice, Choice):
            return ""  # The model failed; another attempt could not be judged either.
        return "" if choice.index == 0 else f"judged wrong: {outcome.answer}"

    def _write_lesson(self, task: Task, outcome: TaskOutcome) -> Thought[str]:
        """A generated sentence on what to do differently; empty if none was generated."""
        completion = yield from generate(
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
        if not isinstance(completion, Completion) or not completion.text.strip():
            return ""
        return f"{LESSON_PREFIX} on '{task.goal}': {completion.text.strip()}"
