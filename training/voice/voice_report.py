"""The report of a voice, from its facts, its history and its evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..reply_items import NextLineItem
from ..report import ReportFigure, ReportSample, TrainingReport, write_report
from .voice_evaluation import VoiceEvaluation
from .voice_folder import REPORT_FILE
from .voice_trainer import TrainingHistory

MAX_POINTS = 150
"""Points of the curve of the training loss: each is the mean of equally many steps."""
LINES_SHOWN = 4


def write_voice_report(
    folder: Path,
    facts: dict[str, Any],
    history: TrainingHistory,
    evaluations: tuple[VoiceEvaluation, VoiceEvaluation],
    items: Sequence[NextLineItem],
) -> Path:
    """Write ``report.html`` into a voice's folder and return its path."""
    before, after = evaluations
    training = facts["training"]
    minutes = history.seconds / 60
    report = TrainingReport(
        title=f"The voice {facts['name']}",
        summary=f"Trained on {facts['base']['name']} by {facts['method']}, {history.tokens:,} "
        f"tokens in {minutes:.0f} minutes; {history.ended}. All figures are of dialogues that were "
        "not learned.",
        figures=_figures(before, after, len(items)),
        losses=averaged(history.losses, MAX_POINTS),
        checks=tuple((float(tokens), loss) for tokens, loss in history.checks),
        facts=_rows(facts, training),
        data=_data_rows(training),
        samples=tuple(
            ReportSample(
                facts=item.facts,
                lines=tuple(
                    ("speaker" if line.own else "other", line.text)
                    for line in item.before[-LINES_SHOWN:]
                ),
                true=item.true,
                before=said_before,
                after=said_after,
            )
            for item, said_before, said_after in zip(items, before.said, after.said)
        ),
    )
    return write_report(report, folder / REPORT_FILE)


def averaged(points: Sequence[tuple[int, float]], count: int) -> tuple[tuple[float, float], ...]:
    """At most ``count`` points: each the mean of equally many points in a row.

    >>> averaged([(1, 2.0), (2, 4.0), (3, 6.0)], 2)
    ((1.5, 3.0), (3.0, 6.0))
    """
    size = max(1, math.ceil(len(points) / count))
    groups = [points[first : first + size] for first in range(0, len(points), size)]
    return tuple(
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    )


def _figures(
    before: VoiceEvaluation, after: VoiceEvaluation, samples: int
) -> tuple[ReportFigure, ...]:
    figures = [
        ReportFigure(
            name="Nats a token of true lines",
            before=f"{before.loss:.3f}",
            after=f"{after.loss:.3f}",
            note=f"{100 * (after.loss / before.loss - 1):+.0f} %; lower is better",
        ),
        ReportFigure(
            name="Perplexity",
            before=f"{before.perplexity:.2f}",
            after=f"{after.perplexity:.2f}",
            note="exp of the nats",
        ),
    ]
    ways = (("mean log-likelihood", "mean"), ("corrected likelihood", "corrected"))
    for name, field in ways:
        old, new = getattr(before, field), getattr(after, field)
        if not math.isnan(new):
            note = "its likelihood without the talk taken off" if field == "corrected" else ""
            figures.append(
                ReportFigure(
                    name=f"Right reply among 20, {name}",
                    before=f"{old:.2f}",
                    after=f"{new:.2f}",
                    note=note or "generic lines become likely everywhere",
                )
            )
    return tuple(figures)


def _rows(facts: dict[str, Any], training: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    settings = {**training["settings"], "learning_rate": training["learning_rate"]}
    rows = [
        ("base model", f"{facts['base']['name']} ({facts['base']['digest'][:16]})"),
        ("trained weights", f"{facts['parameters']:,}"),
        ("steps", f"{training['steps']:,}"),
        ("best check after", f"{training['best_after_tokens']:,} tokens"),
        ("device", f"{training['device']}, {training['processes']} process(es)"),
    ]
    return (*rows, *((name.replace("_", " "), str(value)) for name, value in settings.items()))


def _data_rows(training: dict[str, Any]) -> tuple[str, ...]:
    rows = []
    for part, name in (("data", "learned"), ("check", "checked on")):
        for row in training[part]:
            rows.append(f"{name}: {row['file']} ({row['lines']:,} lines, {row['digest'][:16]})")
    if training["own"]:
        rows.append(f"own lines: {training['own']['lines']}")
    if not training["check"]:
        rows.append("checked on: a part of the data, set aside by the seed")
    return tuple(rows)
