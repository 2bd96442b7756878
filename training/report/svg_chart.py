"""Line charts as SVG, for pages without scripts."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 44
"""Margins in pixels: the axes' labels stand in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSeries:
    """A line of a chart: (x, y) points in order of x, and the class of its style."""

    name: str
    points: tuple[tuple[float, float], ...]
    style: str = "main"
    marks: bool = False


def line_chart(series: Sequence[ChartSeries], *, x_label: str, y_label: str) -> str:
    """An SVG element with the lines, axes with round numbers, a legend, and a title for readers
    of screens. Points that are not finite are left out; a text stands for an empty chart.

    >>> line_chart([], x_label="tokens", y_label="nats")
    '<p class="empty">Nothing to draw.</p>'
    """
    lines = [(one, [p for p in one.points if all(map(math.isfinite, p))]) for one in series]
    lines = [(one, points) for one, points in lines if points]
    if not lines:
        return '<p class="empty">Nothing to draw.</p>'
    xs = axis_ticks(*_range([x for _, points in lines for x, _ in points]))
    ys = axis_ticks(*_range([y for _, points in lines for _, y in points]))
    x_scale = (WIDTH - LEFT - RIGHT) / (xs[-1] - xs[0])
    y_scale = (HEIGHT - TOP - BOTTOM) / (ys[-1] - ys[0])

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (x - xs[0]) * x_scale, HEIGHT - BOTTOM - (y - ys[0]) * y_scale

    parts = [*_grid(xs, ys, place)]
    for one, points in lines:
        places = [place(*point) for point in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {one.style}" points="{drawn}"/>')
        if one.marks:
            parts += [
                f'<circle class="mark {one.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
                for x, y in places
            ]
    middle = f"translate(14 {(HEIGHT - BOTTOM + TOP) / 2:.0f}) rotate(-90)"
    parts += [
        _text(x_label, f'class="label" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}"'),
        _text(y_label, f'class="label" transform="{middle}"'),
    ]
    title = ", ".join(html.escape(one.name) for one, _ in lines)
    legend = "".join(
        f'<span><i class="{one.style}"></i>{html.escape(one.name)}</span>' for one, _ in lines
    )
    body = "\n".join(parts)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">\n{body}\n'
        f"</svg><figcaption>{legend}</figcaption></figure>"
    )


def _grid(
    xs: Sequence[float], ys: Sequence[float], place: Callable[[float, float], tuple[float, float]]
) -> Iterator[str]:
    """The lines of the grid and the numbers at the axes."""
    for y in ys:
        _, top = place(xs[0], y)
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top:.1f}" y2="{top:.1f}"'
        yield f'<line class="grid" {ends}/>'
        yield _text(tick_text(y), f'class="y" x="{LEFT - 8}" y="{top + 4:.1f}"')
    for x in xs:
        left, _ = place(x, ys[0])
        yield _text(tick_text(x), f'class="x" x="{left:.1f}" y="{HEIGHT - BOTTOM + 18}"')


def _text(text: str, attributes: str) -> str:
    return f"<text {attributes}>{html.escape(text)}</text>"


def axis_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``, about so many; two at least.

    >>> axis_ticks(1.13, 2.06)
    [1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2]
    >>> axis_ticks(3, 3)
    [2.0, 2.5, 3.0, 3.5, 4.0]
    """
    if high <= low:
        low, high = low - 1, high + 1
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A number at an axis: thousands and millions are abbreviated.

    >>> [tick_text(value) for value in (0.0, 1.25, 200000.0, 1500000.0)]
    ['0', '1.25', '200k', '1.5M']
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
