"""The evaluation of a voice as one HTML page, without scripts and without the network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core import DataError, atomic_path
from .svg_chart import ChartSeries, line_chart


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigure:
    """A figure before and after the training, as text; ``note`` says what it is."""

    name: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSample:
    """A situation of held-out data: the last lines as (who, text), the true next line, and what
    is said there before and after the training."""

    facts: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    true: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What the page shows. ``losses`` and ``checks`` are (tokens seen, nats a token): of the
    training data, averaged, and of the check part; ``facts`` are rows of settings, ``data`` a line
    for each source."""

    title: str
    summary: str
    figures: tuple[ReportFigure, ...]
    losses: tuple[tuple[float, float], ...]
    checks: tuple[tuple[float, float], ...]
    facts: tuple[tuple[str, str], ...]
    data: tuple[str, ...]
    samples: tuple[ReportSample, ...]


_STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --dim: #5c6670; --line: #d9dee3; --page: #fbfbf9;
  --card: #ffffff; --main: #a8442a; --second: #2d6a8f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --dim: #a0a7ae; --line: #363d44;
  --page: #16191c; --card: #1e2226; --main: #e28a6c; --second: #7db8da; } }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 780px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 8px; }
h2 { font-size: 19px; margin: 40px 0 12px; }
p.lead { color: var(--dim); margin: 0 0 24px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; }
.figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 16px; }
.figure b { display: block; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }
.figure .was { color: var(--dim); font-weight: 400; }
.figure small, .note { color: var(--dim); display: block; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
svg text.y { text-anchor: end; } svg text.x, svg text.label { text-anchor: middle; }
.grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.main { stroke: var(--main); } .line.second { stroke: var(--second); }
.mark.main { fill: var(--main); } .mark.second { fill: var(--second); }
figcaption { display: flex; gap: 20px; padding: 8px 4px 0; font-size: 14px; color: var(--dim); }
figcaption i { display: inline-block; width: 18px; height: 3px; border-radius: 2px;
  margin-right: 8px; vertical-align: middle; }
i.main { background: var(--main); } i.second { background: var(--second); }
table { border-collapse: collapse; width: 100%; font-size: 15px; }
td { border-bottom: 1px solid var(--line); padding: 6px 8px 6px 0; vertical-align: top;
  overflow-wrap: anywhere; }
td:first-child { color: var(--dim); width: 34%; }
.sample { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 14px 16px; margin: 0 0 14px; }
.sample .facts { color: var(--dim); font-size: 14px; margin: 0 0 8px; }
.sample dl { margin: 0; display: grid; grid-template-columns: 84px 1fr; gap: 2px 10px; }
.sample dt { color: var(--dim); font-size: 14px; padding-top: 1px; }
.sample dd { margin: 0; overflow-wrap: anywhere; }
.sample dt.after, .sample dd.after { color: var(--main); }
.sample hr { grid-column: 1 / -1; width: 100%; border: 0; border-top: 1px solid var(--line);
  margin: 6px 0; }
ul { padding-left: 20px; }
.empty { color: var(--dim); }
"""


def write_report(report: TrainingReport, path: Path) -> Path:
    """Write the page, whole or not at all, and return its path. Raises DataError."""
    try:
        with atomic_path(path) as part:
            part.write_text(render_report(report), encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(
            f"{path}: the report cannot be written ({error.strerror or error}); choose another "
            "folder"
        ) from error
    return path


def render_report(report: TrainingReport) -> str:
    """The HTML text of the page. Every text of the data is escaped."""
    chart = line_chart(
        [
            ChartSeries(name="training, averaged", points=report.losses, style="second"),
            ChartSeries(name="check part", points=report.checks, style="main", marks=True),
        ],
        x_label="tokens seen",
        y_label="nats a token",
    )
    rows = "".join(f"<tr><td>{_text(k)}</td><td>{_text(v)}</td></tr>" for k, v in report.facts)
    title = _text(report.title)
    body = [
        f"<h1>{title}</h1>",
        f'<p class="lead">{_text(report.summary)}</p>',
        f'<div class="figures">{"".join(map(_figure, report.figures))}</div>',
        "<h2>Loss</h2>",
        chart,
        "<h2>Lines before and after</h2>",
        _samples(report.samples),
        "<h2>Settings</h2>",
        f"<table>{rows}</table>",
        "<h2>Data</h2>",
        f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in report.data)}</ul>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _figure(figure: ReportFigure) -> str:
    before = f'<span class="was">{_text(figure.before)} → </span>' if figure.before else ""
    note = f"<small>{_text(figure.note)}</small>" if figure.note else ""
    return (
        f'<div class="figure">{_text(figure.name)}<b>{before}{_text(figure.after)}</b>{note}</div>'
    )


def _samples(samples: Sequence[ReportSample]) -> str:
    if not samples:
        return '<p class="empty">No samples were drawn.</p>'
    return "\n".join(map(_sample, samples))


def _sample(sample: ReportSample) -> str:
    rows: list[str] = [*_rows(sample.lines)]
    rows.append("<hr>")
    rows += _rows([("in the data", sample.true)])
    rows += _rows([("before", sample.before)])
    rows += _rows([("after", sample.after)], "after")
    facts = f'<p class="facts">{_text(" ".join(sample.facts))}</p>' if sample.facts else ""
    return f'<div class="sample">{facts}<dl>{"".join(rows)}</dl></div>'


def _rows(lines: Iterable[tuple[str, str]], style: str = "") -> Iterable[str]:
    name = f' class="{style}"' if style else ""
    return [
        f"<dt{name}>{_text(who)}</dt><dd{name}>{_text(text) or '–'}</dd>" for who, text in lines
    ]


def _text(text: str) -> str:
    return html.escape(text)
