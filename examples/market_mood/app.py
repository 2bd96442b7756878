"""Market mood: headlines about six companies come in day by day; an agent rates each, watches every
company for a spike (one day) and a drift (many days), raises alerts and draws a chart.

    python examples/market_mood/app.py             # 60 days with a scandal and a slow decline
    python examples/market_mood/app.py --check     # accuracy, and false alarms on calm days
"""

import argparse
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import sqrt
from pathlib import Path
from random import Random
from typing import TypeAlias
from xml.sax.saxutils import escape

from denizens import Agent, Memory, Persona, Rate, Thought, all_of, load_model, rate
from denizens.agents import run_tool
from denizens.core import Anchor, Json, Message, Model, Rating
from denizens.tools import skill

HERE = Path(__file__).parent
START = date(2026, 5, 4)
MOODS = ("negative", "neutral", "positive")
CALM = {"negative": 0.25, "neutral": 0.5, "positive": 0.25}  # of the headlines of an ordinary day
SPIKE = 4.2  # standard deviations of one day
ALLOWANCE, LIMIT = 0.5, 9.0  # of the CUSUM: k and h, in standard deviations
WARM_UP = 10  # days before anything is said about a company


Stream: TypeAlias = Iterable[tuple[date, list[dict[str, str]]]]
"""Days with their headlines (``company``, ``headline``), in order. Put your own feed here."""


def read_rows(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file beside this program."""
    with (HERE / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# -- the mood of a headline -------------------------------------------------------------------

EXAMPLES = tuple(
    Anchor(MOODS.index(row["mood"]) + 1, row["headline"]) for row in read_rows("examples.csv")
)


@skill
def news_mood(headlines: list[str]) -> Thought[Json]:
    """Rate how good news is for a company: the probabilities of bad, neither and good.

    Args:
        headlines: in which the company is called "The company"
    """
    # All are rated in one batch, by their likeness to the examples.
    ratings = yield from all_of([rate(_question(text)) for text in headlines])
    return [list(one.probabilities) if isinstance(one, Rating) else None for one in ratings]


def _question(text: str) -> Rate:
    asked = f'How good is this news, from 1 (bad) over 2 (neither) to 3 (good)? "{text}"'
    message = Message.of("user", asked)
    return Rate(messages=(message,), about=text, anchors=EXAMPLES, low=1, high=3, role="sentiment")


def make_watcher(model: Model, memory: Path | str = ":memory:") -> Agent:
    """The agent that reads the news, and remembers its alerts."""
    persona = Persona(name="Mira Holm", background="Mira Holm watches the news of the market.")
    return Agent(persona, model=model, memory=Memory(memory, persona.name), tools=[news_mood])


def rate_headlines(
    watcher: Agent, rows: list[dict[str, str]], at: datetime
) -> list[tuple[float, float, float]]:
    """The probabilities of bad, neutral and good news, for each headline."""
    # Without its name: "Halden Foods" sounds good by itself, and "Ostwell Bank" bad.
    texts = [row["headline"].replace(row["company"], "The company") for row in rows]
    result = run_tool(watcher, "news_mood", {"headlines": texts}, at=at)
    if not result.ok or None in result.value:
        raise RuntimeError(f"the headlines of {at:%d %B} could not be rated: {result.error}")
    return [(bad, neutral, good) for bad, neutral, good in result.value]


# -- spikes and drifts ------------------------------------------------------------------------


@dataclass
class CompanyWatch:
    """What is known of one company: the pressure of each day so far, which is the sum of the moods
    of its headlines (-1 to 1), so that much bad news weighs more than little; and two sums that
    notice a drift.

    A day is compared with all days before it by a t statistic, which is turned into a standard
    normal deviate: the self-starting CUSUM of Hawkins (1987), The Statistician 36, 299-316. It
    needs no quiet period to be set aside, and knows how little it knows at first."""

    pressures: list[float] = field(default_factory=list)
    up: float = 0.0
    down: float = 0.0

    def deviation(self, today: float) -> float:
        """How far today lies from the earlier days: a standard normal deviate, if nothing has
        changed."""
        from scipy.stats import norm, t

        count = len(self.pressures)
        if count < 3:
            return 0.0
        mean = sum(self.pressures) / count
        spread = sqrt(sum((one - mean) ** 2 for one in self.pressures) / (count - 1))
        statistic = (today - mean) / (max(spread, 0.1) * sqrt(1 + 1 / count))
        tail = float(norm.isf(t.sf(abs(statistic), count - 1)))
        return tail if statistic > 0 else -tail

    def add_day(self, today: float) -> tuple[str, float]:
        """Take in a day; the alert that it gives ("spike up", "drift down", ... or empty) and its
        size in standard deviations."""
        deviation = self.deviation(today)
        if abs(deviation) >= SPIKE:
            # One such day is no new normal, and it was told: neither mean nor sums take it in.
            return ("spike up" if deviation > 0 else "spike down"), deviation
        self.pressures.append(today)
        if len(self.pressures) <= WARM_UP:
            return "", deviation
        # Page's tabular CUSUM: small deviations in one direction add up, others fade away.
        self.up = max(0.0, self.up + deviation - ALLOWANCE)
        self.down = max(0.0, self.down - deviation - ALLOWANCE)
        if max(self.up, self.down) < LIMIT:
            return "", deviation
        alert, size = ("drift up", self.up) if self.up > self.down else ("drift down", -self.down)
        # What has changed is the new normal, which is learned from here on.
        self.pressures, self.up, self.down = [], 0.0, 0.0
        return alert, size


@dataclass(frozen=True)
class Day:
    """A company on a day: its headlines with their moods (-1 to 1), and the alert, if any."""

    at: date
    company: str
    headlines: tuple[str, ...]
    moods: tuple[float, ...]
    alert: str = ""
    size: float = 0.0

    @property
    def mood(self) -> float:
        """The mean of the headlines' moods."""
        return sum(self.moods) / len(self.moods)

    @property
    def pressure(self) -> float:
        """The sum of the headlines' moods, which is watched."""
        return sum(self.moods)

    def __str__(self) -> str:
        sign = 1 if self.size > 0 else -1
        example = max(zip(self.moods, self.headlines), key=lambda pair: sign * pair[0])[1]
        return (
            f"On {self.at.day} {self.at:%B} there was a {self.alert} of {self.company}: mood "
            f"{self.mood:+.2f} in {len(self.moods)} headlines, {abs(self.size):.1f} standard "
            f'deviations, as in "{example}".'
        )


def watch(stream: Stream, watcher: Agent) -> Iterator[Day]:
    """Rate the headlines of each day as they come, and look at each company."""
    watches: dict[str, CompanyWatch] = {}
    for at, rows in stream:
        now = datetime(at.year, at.month, at.day, 18)
        moods = [good - bad for bad, _, good in rate_headlines(watcher, rows, now)]
        for company in sorted({row["company"] for row in rows}):
            own = [
                (mood, row["headline"])
                for mood, row in zip(moods, rows)
                if row["company"] == company
            ]
            pressure = sum(mood for mood, _ in own)
            alert, size = watches.setdefault(company, CompanyWatch()).add_day(pressure)
            day = Day(at, company, tuple(t for _, t in own), tuple(m for m, _ in own), alert, size)
            if alert:
                watcher.learn([str(day)], at=now)  # so that it can be asked about it
            yield day


# -- an invented market -----------------------------------------------------------------------


def calm_days(seed: int, days: int) -> Stream:
    """Days on which each company has three to five headlines, as many good as bad ones."""
    rng, rows = Random(seed), read_rows("headlines.csv")
    companies = sorted({row["company"] for row in rows})
    for number in range(days):
        today = []
        for company in companies:
            moods = rng.choices(list(CALM), list(CALM.values()), k=rng.randint(3, 5))
            today += [_draw(rng, rows, company, mood) for mood in moods]
        yield START + timedelta(days=number), today


def eventful_days(seed: int, days: int = 60) -> Stream:
    """Calm days, but for a scandal at Halden Foods on day 30 (all its bad headlines at once), and
    Castor Rail, whose news is mostly bad from day 40 on."""
    rng, rows = Random(seed), read_rows("headlines.csv")
    scandal = [r for r in rows if r["company"] == "Halden Foods" and r["mood"] == "negative"]
    for number, (at, today) in enumerate(calm_days(seed, days)):
        if number == 30:
            today = [*(row for row in today if row["company"] != "Halden Foods"), *scandal]
        if number >= 40:
            moods = rng.choices(MOODS, [0.7, 0.25, 0.05], k=4)
            worse = [_draw(rng, rows, "Castor Rail", mood) for mood in moods]
            today = [*(row for row in today if row["company"] != "Castor Rail"), *worse]
        yield at, today


def _draw(rng: Random, rows: list[dict[str, str]], company: str, mood: str) -> dict[str, str]:
    return rng.choice([row for row in rows if row["company"] == company and row["mood"] == mood])


# -- what it shows ----------------------------------------------------------------------------


def chart(days: list[Day]) -> str:
    """An SVG picture without anything from elsewhere: a row for each company, a bar for each day
    (the sum of its moods), a mark for each alert."""
    companies = sorted({day.company for day in days})
    first, last = min(day.at for day in days), max(day.at for day in days)
    step, row, left = 12, 92, 150
    width, height = left + step * ((last - first).days + 1) + 20, row * len(companies) + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<title>Mood of the news by company and day</title>",
        f'<rect width="{width}" height="{height}" fill="#fbfaf7"/>',
        '<text x="16" y="26" font-size="17" fill="#222">Mood of the news, summed by day, '
        f"{first:%d %B} to {last:%d %B %Y}</text>",
    ]
    for place, company in enumerate(companies):
        middle = 92 + row * place
        parts.append(f'<text x="16" y="{middle + 4}" fill="#222">{escape(company)}</text>')
        parts.append(
            f'<line x1="{left}" x2="{width - 20}" y1="{middle}" y2="{middle}" stroke="#bbb"/>'
        )
        for day in (day for day in days if day.company == company):
            x, size = left + step * (day.at - first).days, min(40.0, abs(day.pressure) * 6)
            colour = "#2c7a57" if day.pressure >= 0 else "#b3432b"
            top = middle - size if day.pressure >= 0 else middle
            parts.append(
                f'<rect x="{x}" y="{top:.1f}" width="{step - 3}" height="{size:.1f}" '
                f'fill="{colour}"><title>{escape(f"{day.at}: {day.pressure:+.2f}")}</title></rect>'
            )
            if day.alert:
                at = middle + (54 if day.size < 0 else -44)
                parts.append(
                    f'<text x="{x + step / 2}" y="{at}" text-anchor="middle" font-weight="bold" '
                    f'fill="#222">{escape(day.alert)}<title>{escape(str(day))}</title></text>'
                )
    for number in range(0, (last - first).days + 1, 14):
        x = left + step * number
        label = f"{first + timedelta(days=number):%d %b}"
        parts.append(f'<text x="{x}" y="{height - 14}" fill="#555">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def accuracy(watcher: Agent) -> float:
    """The share of the labelled headlines whose likeliest mood is that of the label."""
    rows = read_rows("headlines.csv")
    rated = rate_headlines(watcher, rows, datetime(2026, 5, 4))
    right = [MOODS[one.index(max(one))] == row["mood"] for one, row in zip(rated, rows)]
    return sum(right) / len(right)


def check(watcher: Agent, streams: int = 20) -> None:
    """Print the accuracy, and in how many streams of 30 calm days there is an alert."""
    print(f"mood of 210 headlines right: {accuracy(watcher):.2f} (always one mood: 0.34)")
    alarms = 0
    for seed in range(streams):
        alarms += any(day.alert for day in watch(calm_days(seed, WARM_UP + 30), watcher))
    print(f"streams of 30 calm days of six companies with an alert: {alarms} of {streams}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The mood of the market, and its alerts.")
    parser.add_argument("--check", action="store_true", help="print accuracy and false alarms")
    parser.add_argument("--seed", type=int, default=1, help="of the invented market")
    parser.add_argument("--chart", type=Path, default=Path("market_mood.svg"), help="file to write")
    options = parser.parse_args()
    mira = make_watcher(load_model("smollm2"))
    if options.check:
        check(mira)
        raise SystemExit
    seen = []
    for day in watch(eventful_days(options.seed), mira):
        seen.append(day)
        if day.alert:
            print(f"ALERT  {day}")
    options.chart.write_text(chart(seen), encoding="utf-8")
    print(f"The chart is in {options.chart}; open it in a browser.")
    print(mira.chat("What happened to Halden Foods?", person="Ada").text)
