"""Two lives that differ in a few words: whether they differ where they must not.

``python -m denizens.tests.support.noninterference --lives 2000`` lives so many random scripts of
each sort twice
and prints the differences; ``--seed 17 --sort told`` shows those of one script.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from denizens.tests.support.random_scripts import Script, ScriptEvent, Sort, make_script
from denizens.tests.support.script_runner import ScriptResult, ThoughtRecord, run_script


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two lives differ: at which happening, for whom, in what, and how in each."""

    place: int
    person: str
    way: str
    one: str
    other: str

    def __str__(self) -> str:
        at = next((i for i, (a, b) in enumerate(zip(self.one, self.other)) if a != b), 0)
        start = max(0, at - 60)
        return (
            f"at {self.place}, {self.person}, {self.way}:\n"
            f"  A ...{self.one[start : at + 160]}\n  B ...{self.other[start : at + 160]}"
        )


def overheard(one: ScriptResult, other: ScriptResult) -> Iterator[Difference]:
    """What others than Ada were given in one of two lives and not in the other."""
    for a, b in zip(one.got, other.got):
        if (a.place, a.person, a.way) != (b.place, b.person, b.way):
            yield Difference(a.place, a.person, f"{a.way} / {b.way}", a.value, b.value)
            return
        if a.value != b.value:
            yield Difference(a.place, a.person, a.way, a.value, b.value)
    if len(one.got) != len(other.got):
        yield Difference(-1, "", "number", str(len(one.got)), str(len(other.got)))


def laundered(lived: ScriptResult) -> Iterator[Difference]:
    """Acting calls that ran though a stranger's words stood in what their thought had read."""
    for thought in lived.thoughts:
        if thought.laundered:
            yield Difference(thought.place, thought.agent, "laundered", thought.laundered, "")


def influenced(one: ScriptResult, other: ScriptResult) -> Iterator[Difference]:
    """Where in one of two lives an acting call ran that did not in the other, and no stranger's
    words that were read there explain why not."""
    for a, b in _paired(one.thoughts, other.thoughts):
        if a is None or b is None or a.ran == b.ran:
            continue
        if a.recalled != b.recalled and not (a.strange or b.strange):
            continue  # see ``ranked``
        if a.ran and b.ran:
            yield Difference(a.place, a.agent, "arguments", str(a.ran), str(b.ran))
        elif not (b.strange if a.ran else a.strange):
            yield Difference(a.place, a.agent, "swayed", str(a.ran), str(b.ran))


def stopped(one: ScriptResult, other: ScriptResult) -> int:
    """How many thoughts acted in one life, and in the other read a stranger's words and did
    not."""
    pairs = _paired(one.thoughts, other.thoughts)
    return sum(
        1 for a, b in pairs if a and b and a.ran != b.ran and (b.strange if a.ran else a.strange)
    )


def ranked(one: ScriptResult, other: ScriptResult) -> int:
    """How many thoughts acted otherwise since other words of those who are trusted came to
    mind: a stranger's record beside them moves the scale of scores, by which the best are
    found. No word of the stranger's is read there, and none stands in what is done."""
    return sum(
        a.ran != b.ran and a.recalled != b.recalled and not (a.strange or b.strange)
        for a, b in _paired(one.thoughts, other.thoughts)
        if a and b
    )


def _paired(
    one: Sequence[ThoughtRecord], other: Sequence[ThoughtRecord]
) -> Iterator[tuple[ThoughtRecord | None, ThoughtRecord | None]]:
    """The thoughts of two lives, those of one agent at one happening in their order."""
    numbered = [_numbered(one), _numbered(other)]
    for key in sorted({*numbered[0], *numbered[1]}):
        yield numbered[0].get(key), numbered[1].get(key)


def _numbered(thoughts: Sequence[ThoughtRecord]) -> dict[tuple[int, str, int], ThoughtRecord]:
    seen: Counter[tuple[int, str]] = Counter()
    made = {}
    for thought in thoughts:
        key = (thought.place, thought.agent)
        made[*key, seen[key]] = thought
        seen[key] += 1
    return made


def differences(made: Script) -> list[Difference]:
    """Where the two lives of a script differ though they must not."""
    return found_in(made, run_script(made, 0), run_script(made, 1))


def found_in(made: Script, one: ScriptResult, other: ScriptResult) -> list[Difference]:
    """Where two lives differ though they must not."""
    if made.sort == "told":
        return list(overheard(one, other))
    return [*laundered(one), *laundered(other), *influenced(one, other)]


def shrunk(made: Script) -> Script:
    """The script without the happenings that a difference does not need."""
    place = len(made.happenings) - 1
    while place >= 0:
        less = (*made.happenings[:place], *made.happenings[place + 1 :])
        smaller = replace(made, happenings=less)
        if less and differences(smaller):
            made = smaller
        place -= 1
    return made


def describe_script(made: Script) -> str:
    """A script in words."""
    head = (
        f"{made.sort} {made.seed}: agents {made.agents}, persons {made.persons}, planners "
        f"{made.planners}, responders {made.responders}, private {made.private}, town "
        f"{made.town}, trusted {made.trusted}, strangers {made.strangers}, upkeep {made.upkeep}"
    )
    return "\n".join([head, *(f"  {n} {_describe(one)}" for n, one in enumerate(made.happenings))])


def _describe(one: ScriptEvent) -> str:
    words = f"{one.words[0][:70]!r}"
    if one.differs:
        words += f" / {one.words[1][:70]!r}"
    return f"{one.kind} {one.agent} by {one.who} {one.people} pick {one.pick}: {words}"


def _differs(made: Script) -> bool:
    return bool(differences(made))


def main() -> None:
    """Live many scripts and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=200, help="how many scripts of each sort")
    parser.add_argument("--first", type=int, default=0, help="the first script's number")
    parser.add_argument("--seed", type=int, help="one script alone, shrunk and shown")
    parser.add_argument("--sort", choices=("told", "done"), help="one sort alone")
    parser.add_argument("--first-fault", action="store_true", help="end at the first, with 1")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if given.first_fault:
        numbers = range(given.first, given.first + given.lives)
        scripts = (make_script(seed, sort) for seed in numbers for sort in ("told", "done"))
        sys.exit(any(map(_differs, scripts)))
    sorts: tuple[Sort, ...] = (given.sort,) if given.sort else ("told", "done")
    if given.seed is not None:
        for sort in sorts:
            small = shrunk(make_script(given.seed, sort))
            print(describe_script(small), *differences(small)[:6], sep="\n")
        return
    for sort in sorts:
        began, found, ways = time.monotonic(), [], Counter[str]()
        apart = Counter[str]()
        for seed in range(given.first, given.first + given.lives):
            made = make_script(seed, sort)
            one, other = run_script(made, 0), run_script(made, 1)
            faults = found_in(made, one, other)
            apart += Counter(stopped=stopped(one, other), ranked=ranked(one, other))
            apart["acts"] += sum(len(thought.ran) for thought in one.thoughts)
            if faults:
                found.append(seed)
                ways[f"{faults[0].way.split(' of ')[0]}"] += 1
        took = time.monotonic() - began
        print(f"{sort}: {given.lives} lives, {len(found)} differ, {took:.0f} s")
        print(f"  first differences: {dict(ways)}; scripts {found[:40]}; apart: {dict(apart)}")


if __name__ == "__main__":
    main()
