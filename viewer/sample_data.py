"""Page data for tests: two people, an inn, a park, and every kind of ask."""

from __future__ import annotations

from datetime import datetime

from ..models import Usage
from .page_data import (
    ActivityEntry,
    AskData,
    CostData,
    MemoryEntry,
    PageData,
    PersonData,
    PlanEntry,
    PlanEntrySlot,
    TalkData,
)
from .terrain import MapLayers, draw_map


def sample_page(text: str = "Tea is ready.") -> PageData:
    """Ninety minutes of two people; ``text`` is inserted wherever an agent or a model may write."""
    inside = frozenset({(x, y) for x in range(2, 8) for y in range(3, 7)})
    walls = {(x, y) for x in range(1, 9) for y in range(2, 8)} - inside - {(4, 7)}
    land = MapLayers(
        width=20,
        height=14,
        blocked=frozenset(walls | {(15, 4)}),
        sectors={"t:inn": inside | walls, "t:park": frozenset({(12, 9), (13, 9)})},
        arenas={"t:inn:bar": inside, "t:park:park": frozenset({(12, 9), (13, 9)})},
        objects={"t:inn:bar:bed": frozenset({(2, 3)}), "t:inn:bar:table": frozenset({(5, 4)})},
        hints={(15, 4): "tree", (16, 10): "water", (17, 10): "water"},
    )
    talk = TalkData(
        id="1",
        start=40,
        end=44,
        members=("Ann Lee", "Bo Dale"),
        place="t:inn:bar",
        lines=((40, "Ann Lee", text), (41, "Bo Dale", "Already?"), (43, "Ann Lee", text)),
    )
    people = (_ann(text), _bo(text))
    return PageData(
        title=text,
        subtitle=text,
        start=datetime(2026, 5, 2, 6),
        step_seconds=60,
        steps=90,
        map=draw_map(land),
        people=people,
        talks=(talk,),
        headlines=((40, text),),
        figures={"model_calls": 7, "prompt_tokens": 1234},
        texts=("[system]\nYou are Ann.", f"[user]\n{text}"),
        costs=_costs(text),
    )


def _costs(text: str) -> CostData:
    ann, bo = (
        Usage("Ann Lee", "generate", text, 3, 900, 40, 500, 1.5),
        Usage("Bo Dale", "choose", "place", 2, 300, 0, 0, 0.4),
    )
    return CostData(minutes=10, sums=(ann, bo), times=((20, ann), (40, bo)))


def _ann(text: str) -> PersonData:
    recall = {"cue": text, "hits": [[1, 2.1, 0.9, 0.4, 0.8], [2, 1.2, 0.5, 0.2, 0.5]]}
    choice = {
        "about": text,
        "options": [["t:inn:bar", 0.7], [text, 0.3]],
        "chosen": 0,
        "prompt": [0, 1],
    }
    return PersonData(
        id="Ann Lee",
        persona={"age": "40", "traits": text, "background": text, "home": "t:inn:bar"},
        track=((0, 3, 4), (30, 4, 4), (31, 5, 5)),
        acts=(
            ActivityEntry(0, "sleeping", "💤", "t:inn:bar:bed", "", True),
            ActivityEntry(20, text, "☕", "t:inn:bar:table", text),
        ),
        plans=(PlanEntry(20, (text,), (PlanEntrySlot(380, 60, text, "t:inn:bar"),)),),
        memories=(
            MemoryEntry(1, -5, "thought", "Bo likes tea.", 3),
            MemoryEntry(2, 10, "observation", text, 4.5, 0, "Bo Dale"),
            MemoryEntry(3, 41, "thought", text, 8, 1, "Ann Lee", (1, 2)),
        ),
        asks=(
            AskData(20, "recall", "", recall),
            AskData(20, "choose", "place", choice),
            AskData(20, "rate", "importance", {"about": text, "value": 6.2, "low": 1, "high": 10}),
            AskData(20, "generate", "speech", {"text": text, "prompt": [0, 1]}),
            AskData(20, "call", "", {"tool": "clock", "arguments": text, "value": text}),
            AskData(20, "failed", "plan", {"reason": "limit", "detail": text}),
        ),
    )


def _bo(text: str) -> PersonData:
    return PersonData(
        id="Bo Dale",
        persona={"age": "70", "traits": "slow"},
        track=((0, 12, 9), (25, 5, 6)),
        acts=(ActivityEntry(0, "waiting", "🪑", "t:park:park", text),),
    )
