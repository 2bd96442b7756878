"""The page's data: what is stored when it changes, and nothing twice."""

from __future__ import annotations

import base64
import random
from bisect import bisect_right
from dataclasses import replace
from typing import Any

from denizens.viewer import (
    MapData,
    MapLayers,
    PersonData,
    TextTable,
    draw_map,
    sample_page,
    select_headlines,
)
from denizens.viewer.terrain import floor_kind, rectangles
from hypothesis import given
from hypothesis import strategies as st


def position(track: list[list[float]], step: int) -> tuple[float, float]:
    """What the page's binary search finds."""
    row = track[bisect_right([entry[0] for entry in track], step) - 1]
    return row[1], row[2]


def test_deltas_reproduce_positions_at_sampled_steps() -> None:
    """A walk stored as changes gives back the tile of every sampled step."""
    rng = random.Random(3)
    where = (5, 5)
    full: list[tuple[int, int]] = []
    track: list[tuple[int, int, int]] = []
    for step in range(3000):
        if rng.random() < 0.3:
            where = (where[0] + rng.choice((-1, 1)), where[1])
        full.append(where)
        if not track or track[-1][1:] != where:
            track.append((step, *where))
    stored = PersonData(id="Bo", persona={}, track=track).as_json()["track"]
    assert len(stored) < 1000
    for step in rng.sample(range(3000), 400):
        assert position(stored, step) == full[step]


def test_the_sample_carries_every_kind_of_ask() -> None:
    """The sample that other tests draw has choices, words, ratings, recalls, tools, failures."""
    kinds = {ask.kind for person in sample_page().people for ask in person.asks}
    assert kinds == {"choose", "generate", "rate", "recall", "call", "failed"}


def test_a_text_is_stored_once() -> None:
    """The same prompt asked a thousand times takes one place."""
    texts = TextTable()
    assert {texts.add("You are Bo.") for _ in range(1000)} == {0}
    assert texts.all == ("You are Bo.",)


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60))
def test_pieces_cover_exactly_the_tiles(tiles: set[tuple[int, int]]) -> None:
    """Rectangles of a thing cover all of its tiles, none twice and no other."""
    covered = [
        (x + dx, y + dy)
        for x, y, w, h in rectangles(frozenset(tiles))
        for dx in range(w)
        for dy in range(h)
    ]
    assert sorted(covered) == sorted(tiles)


def test_ground_and_blocked_tiles_unpack_to_what_went_in() -> None:
    """A byte a tile for the ground and a bit a tile for blocked ones lose nothing."""
    ground = ["grass", "water", "path"] * 7
    blocked = [at % 3 == 1 for at in range(21)]
    packed = MapData(width=7, height=3, ground=ground, blocked=blocked).as_json()
    kinds = [packed["kinds"][at] for at in base64.b64decode(packed["ground"])]
    bits = base64.b64decode(packed["blocked"])
    assert kinds == ground
    assert [bool(bits[at >> 3] & (0x80 >> (at & 7))) for at in range(21)] == blocked


def test_a_room_gets_walls_and_a_floor_and_a_park_neither() -> None:
    """Blocked tiles around a roofed room are walls; a park stays green."""
    inside = frozenset({(2, 2), (3, 2)})
    walls = {(x, y) for x in range(1, 5) for y in range(1, 4)} - inside
    land = MapLayers(
        width=12,
        height=6,
        blocked=frozenset(walls | {(10, 4)}),
        sectors={"t:house": inside, "t:park": frozenset({(7, 2)})},
        arenas={"t:house:kitchen": inside, "t:park:park": frozenset({(7, 2)})},
        objects={"t:house:kitchen:stove": frozenset({(2, 2)})},
    )
    drawn = draw_map(land)
    at: dict[Any, str] = {(x, y): drawn.ground[y * 12 + x] for x in range(12) for y in range(6)}
    assert {at[tile] for tile in walls} == {"wall"}
    assert {at[tile] for tile in inside} == {"tile"}
    assert (at[7, 2], at[10, 4], at[0, 5]) == ("grass", "bush", "grass")
    assert drawn.sector_of[2 * 12 + 2] == 1
    assert [area.name for area in drawn.arenas] == ["kitchen", "park"]
    assert floor_kind("t:house:kitchen") == "tile"


def test_headlines_tell_wakings_talks_and_reflections_in_order() -> None:
    """Somebody gets up, two talk, one draws a conclusion: each a line, sorted by step."""
    page = sample_page()
    lines = select_headlines(page.people, page.talks)
    told = " / ".join(text for _, text in lines)
    assert "gets up" in told
    assert "talk at inn (3 lines)" in told
    assert "comes to think" in told
    assert [step for step, _ in lines] == sorted(step for step, _ in lines)


def test_headlines_stay_few() -> None:
    """However many conversations a run has, the list keeps to its limit."""
    page = sample_page()
    many = [replace(page.talks[0], id=str(n), start=n) for n in range(500)]
    assert len(select_headlines(page.people, many, limit=40)) <= 40
