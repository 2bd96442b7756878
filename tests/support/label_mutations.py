"""The label taken away at one place after the other: each time the lives or a test must fail.

``python -m denizens.tests.support.label_mutations`` copies the package to a temporary folder,
applies one
mutation at a time, lives random lives until two differ and then runs the tests of ``FILES``; it
prints which mutations survive. ``--only NAME`` runs those whose name has these words in it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = (
    "tests/test_agents_thought_guard.py",
    "tests/test_agents_chat.py",
    "tests/test_agents_agent.py",
    "tests/test_agents_thought_labels.py",
    "tests/test_agents_state_labels.py",
    "tests/test_agents_guard_and_skills.py",
    "tests/test_agents_attacks.py",
    "tests/test_agents_laundering.py",
    "tests/test_agents_overhearing.py",
    "tests/test_agents_declassification.py",
    "tests/test_testing_labels.py",
    "tests/test_simulation_labels.py",
    "tests/test_world_labels.py",
    "tests/test_tools_memory_search.py",
    "tests/test_world_conversations.py",
    "tests/test_world_places.py",
    "tests/test_memory_people.py",
    "tests/test_memory_labels.py",
    "tests/test_memory_facts.py",
    "tests/test_memory_documents.py",
    "tests/test_memory_compaction.py",
    "tests/test_memory_person_erasure.py",
    "tests/test_memory_exports.py",
    "tests/test_tools_notes.py",
    "tests/test_tools_skills.py",
    "tests/test_planners_encounters.py",
    "tests/test_server_agent_service.py",
)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One place changed: in ``file`` the text ``old``, which stands there once, to ``new``."""

    name: str
    file: str
    old: str
    new: str


_GUARD = "agents/thoughts/thought_guard.py"
_LABELS = "agents/thoughts/thought_labels.py"
_STATE = "agents/thoughts/state_labels.py"
_AGENT = "agents/agent.py"

MUTATIONS = (
    # -- what a thought is given, and the calls it makes
    Mutation(
        "guard: sources of what is recalled",
        _GUARD,
        "self.add_labels(Label(tuple(sources), answer.audience), *audiences)",
        "self.add_labels(Label((), answer.audience), *audiences)",
    ),
    Mutation(
        "guard: audience of what was searched",
        _GUARD,
        "self.add_labels(Label(tuple(sources), answer.audience), *audiences)",
        "self.add_labels(Label(tuple(sources)), *audiences)",
    ),
    Mutation(
        "guard: all audiences of a recall",
        _GUARD,
        "self.add_labels(Label(tuple(sources), answer.audience), *audiences)",
        "self.add_labels(Label(tuple(sources)))",
    ),
    Mutation(
        "guard: recall for the listeners alone",
        _GUARD,
        "if isinstance(ask, Recall) and self.listeners:",
        "if isinstance(ask, Recall) and not self.listeners:",
    ),
    Mutation(
        "guard: what it begins with",
        _GUARD,
        "join_labels((*labels, *(label for _, label in self._given)), self.who)",
        "join_labels(labels, self.who)",
    ),
    Mutation(
        "guard: labels of the state and of people in sight",
        _GUARD,
        "join_labels((*labels, *(label for _, label in self._given)), self.who)",
        "join_labels((label for _, label in self._given), self.who)",
    ),
    Mutation(
        "guard: a call's strange sources",
        _GUARD,
        "sources=self.policy.untrusted_sources(read),",
        "sources=(),",
    ),
    Mutation(
        "guard: a call's label for its tool",
        _GUARD,
        "audience=self.label.audience,\n        )",
        "audience=(),\n        )",
    ),
    Mutation(
        "guard: for whom a call is",
        _GUARD,
        "person=self._person_for(ask.person),",
        "person=ask.person,",
    ),
    Mutation(
        "guard: words of a tool from outside",
        _GUARD,
        'outside = (f"tool:{ask.tool}",) if spec.outside else ()',
        "outside: tuple[str, ...] = ()",
    ),
    Mutation(
        "guard: the label of a tool's result",
        _GUARD,
        "self.add_labels(Label((*result.sources, *outside), result.audience))",
        "self.add_labels(Label(outside))",
    ),
    Mutation(
        "guard: what alone something rests on",
        _GUARD,
        "return Label(tuple(sorted(self._record_sources(basis))), basis.audience)",
        "return Label()",
    ),
    Mutation(
        "guard: one of several listeners",
        _GUARD,
        "if len(self.listeners) > 1:\n            return EVERYBODY",
        "if len(self.listeners) > 9:\n            return EVERYBODY",
    ),
    Mutation(
        "agent: whoever listens to a step",
        _AGENT,
        "listeners = find_listeners(seen, can)\n",
        "listeners = find_listeners(seen, ())\n",
    ),
    Mutation(
        "agent: lines of a talk that are not for all",
        _AGENT,
        "full, seen = seen, redact_observation(seen, listeners)\n",
        "full = seen\n",
    ),
    Mutation(
        "agent: what a step's thought is given",
        _AGENT,
        "given=labelled_inputs(seen, inputs, self.id),",
        "given=(),",
    ),
    Mutation(
        "agent: what those in sight do",
        _AGENT,
        "labels=chain(activity_labels(seen, self.id), shown.labels.values()),",
        "labels=shown.labels.values(),",
    ),
    Mutation(
        "agent: the state's labels in a step",
        _AGENT,
        "labels=chain(activity_labels(seen, self.id), shown.labels.values()),",
        "labels=activity_labels(seen, self.id),",
    ),
    Mutation(
        "agent: the message and the session of a chat",
        _AGENT,
        "given=labelled_session(heard.line, heard.before, self.memory, heard.private),",
        "given=(),",
    ),
    Mutation(
        "agent: a chat is for its person",
        _LABELS,
        "audience = (message.who,) if private else ()",
        "audience = ()",
    ),
    Mutation(
        "agent: the state's labels in a chat",
        _AGENT,
        "labels=(*shown.labels.values(), *labels),",
        "labels=labels,",
    ),
    Mutation(
        "agent: how what is learned is rated",
        _AGENT,
        "shown = trusted_state(self.state, people or (EVERYBODY,), self.memory)",
        "shown = self.state",
    ),
    # -- what a thought writes
    Mutation(
        "labels: of all records",
        _LABELS,
        "yield apply_label(record, label, guard.who)",
        "yield record",
    ),
    Mutation(
        "labels: a record's audience",
        _LABELS,
        "yield apply_label(record, label, guard.who)",
        "yield apply_label(record, Label(label.sources, record.audience), guard.who)",
    ),
    Mutation(
        "labels: a record's sources",
        _LABELS,
        "yield apply_label(record, label, guard.who)",
        "yield replace(record, audience=label.audience)",
    ),
    Mutation(
        "labels: an action that shows",
        _LABELS,
        "if label.audience and not (speaks and may_hear",
        "if label.audience and () and not (speaks and may_hear",
    ),
    Mutation(
        "labels: an action's own",
        _LABELS,
        "action=replace(action, sources=label.sources, audience=audience))",
        "action=action)",
    ),
    Mutation(
        "labels: an action's sources",
        _LABELS,
        "action=replace(action, sources=label.sources, audience=audience))",
        "action=replace(action, audience=audience))",
    ),
    Mutation(
        "labels: an action's audience",
        _LABELS,
        "action=replace(action, sources=label.sources, audience=audience))",
        "action=replace(action, sources=label.sources))",
    ),
    Mutation(
        "labels: last accesses",
        _LABELS,
        "used = tuple(n for n in used if n in audiences and _within(audiences[n], label.audience))",
        "used = decision.used",
    ),
    Mutation(
        "labels: last accesses of what is for others",
        _LABELS,
        "return bool(audience) and set(audience) <= set(people)",
        "return bool(audience)",
    ),
    Mutation(
        "labels: parts of a state",
        _STATE,
        "            labels[name] = label\n        if label.audience and",
        "            labels\n        if label.audience and",
    ),
    Mutation(
        "labels: numbers of a state",
        _STATE,
        "if label.audience or (label.sources and new.get(name) and name in with_text):",
        "if label != Label() and new.get(name) and name in with_text:",
    ),
    Mutation(
        "labels: what a state was for others",
        _STATE,
        "return [row for row in rows if not row[2] or not people.issuperset(row[2])]",
        "return []",
    ),
    Mutation(
        "labels: for whom what a state was is",
        _STATE,
        "if may_hear(audience, listeners) and not",
        "if not",
    ),
    Mutation(
        "labels: what was there to be perceived",
        _STATE,
        "perceived = tuple(keys[key] for key in after.perceived if key in keys)",
        "perceived = after.perceived",
    ),
    Mutation(
        "labels: targets of verbs that show nothing",
        _LABELS,
        "return replace(decision, action=Action(action.verb)) if label.audience else decision",
        "return decision",
    ),
    Mutation(
        "labels: a talk with nobody in it",
        _LABELS,
        "if others := around - {seen.who}:",
        "if (others := around - {seen.who}) or talk:",
    ),
    Mutation(
        "calls: whose call had begun",
        "memory/storage/tool_call_log.py",
        'if person not in ("", request.person) and request.person != EVERYBODY:',
        'if person == "?":',
    ),
    Mutation(
        "labels: what is withheld of a state",
        _STATE,
        "hidden = {*hidden, *(n for n, one in labelled if not may_hear(one.audience, listeners))}",
        "hidden = set(hidden)",
    ),
    Mutation(
        "labels: a deed's subject",
        _LABELS,
        "return Label((*_speaker_sources(event.subject, who), *sources))",
        "return Label(sources)",
    ),
    Mutation(
        "labels: a line's speaker",
        _LABELS,
        "return Label((*_speaker_sources(line.who, who), *others), line.audience)",
        "return Label((*others,), line.audience)",
    ),
    Mutation(
        "labels: a line's own",
        _LABELS,
        "return Label((*_speaker_sources(line.who, who), *others), line.audience)",
        "return Label(_speaker_sources(line.who, who))",
    ),
    Mutation(
        "labels: who whispers",
        _LABELS,
        "yield given, Label(_speaker_sources(given.who, who))",
        "yield given, Label()",
    ),
    Mutation(
        "labels: what somebody in sight does",
        _LABELS,
        "yield Label((*_speaker_sources(person.who, who), *person.sources))",
        "yield Label()",
    ),
    Mutation(
        "labels: who is in earshot",
        _LABELS,
        "around = {*talk.members, *(line.who for line in talk.lines), *in_sight, *seen.hearers}",
        "around = {*talk.members}",
    ),
    # -- memory
    Mutation(
        "memory: what a recall admits",
        "memory/recall/recall_query.py",
        "masks.append(index.audience_mask(count, cue.hearers))",
        "masks.append(index.audience_mask(count, ()))",
    ),
    Mutation(
        "memory: all listeners of a recall",
        "memory/index/memory_index.py",
        "everyone.issubset(people) for people in",
        "not everyone.isdisjoint(people) for people in",
    ),
    Mutation(
        "memory: for whom all is that was searched",
        "memory/recall/recall_query.py",
        "index.derived[key] = intersect_audiences(heard, loader.agent)",
        "index.derived[key] = ()",
    ),
    Mutation(
        "memory: quarantine of what rests on words",
        "memory/recall/recall_query.py",
        "masks.append(~quarantined)",
        "masks.append(quarantined | ~quarantined)",
    ),
    Mutation(
        "memory: sources of evidence",
        "memory/storage/record_sources.py",
        "sources.update(known.of(number))",
        "sources.update(())",
    ),
    Mutation(
        "memory: audience of evidence",
        "memory/storage/record_sources.py",
        "audiences.append(audience_of(number))",
        "audiences.append(())",
    ),
    Mutation(
        "memory: sources of evidence written beside it",
        "memory/storage/record_sources.py",
        "sources.update(record_sources(before[position], known.owner))",
        "sources.update(())",
    ),
    Mutation(
        "memory: audience of evidence written beside it",
        "memory/storage/record_sources.py",
        "audiences.append(before[position].audience)",
        "audiences.append(())",
    ),
    Mutation(
        "memory: an export is somebody's",
        "memory/jsonl_io.py",
        "return is_visible(row.record.audience, person) and not is_erased(row.record)",
        "return not is_erased(row.record)",
    ),
    Mutation(
        "memory: for whom a document is",
        "memory/documents/documents.py",
        "audience=people,\n                    episode",
        "audience=(),\n                    episode",
    ),
    Mutation(
        "memory: who gave a document",
        "memory/documents/documents.py",
        "who=who,\n                    importance",
        'who="",\n                    importance',
    ),
    Mutation(
        "memory: for whom a claim is",
        "memory/facts/facts.py",
        "audience=intersect_audiences([*audiences, parse_audience(audience)], self.memory.agent),",
        "audience=(),",
    ),
    Mutation(
        "memory: on whose words a claim rests",
        "memory/facts/facts.py",
        "words_of=self._words_of(who, sources),",
        "words_of=(),",
    ),
    Mutation(
        "memory: for whom a note is",
        "memory/notes.py",
        "if is_visible(label.audience, person) and not has_source(label.sources, forms):",
        "if not has_source(label.sources, forms):",
    ),
    Mutation(
        "memory: on whose words a note rests",
        "memory/notes.py",
        'label: dict[str, list[str]] = {"sources": sorted(set(sources))}',
        'label: dict[str, list[str]] = {"sources": []}',
    ),
    Mutation(
        "memory: for whom a summary is", "memory/compaction.py", "audience=records[0].audience,", ""
    ),
    Mutation(
        "memory: how much is folded for whom",
        "memory/compaction.py",
        "for audience, n in counts.items() if not audience or others.issubset(audience))",
        "for audience, n in counts.items())",
    ),
    Mutation(
        "memory: forgetting walks the sources",
        "memory/erasure/person_erasure.py",
        "map(matcher.matches_source, sources.of(record.id))",
        "map(matcher.matches_source, ())",
    ),
    # -- worlds
    Mutation(
        "world: a line's label",
        "world/embodied_world.py",
        'return Utterance(who, action.fields["text"].strip(), at, action.sources, action.audience)',
        'return Utterance(who, action.fields["text"].strip(), at)',
    ),
    Mutation(
        "world: on whose words a line rests",
        "world/embodied_world.py",
        'return Utterance(who, action.fields["text"].strip(), at, action.sources, action.audience)',
        'return Utterance(who, action.fields["text"].strip(), at, (), action.audience)',
    ),
    Mutation(
        "world: who overhears a line",
        "world/embodied_world.py",
        "if is_addressed_person or not line.audience:",
        "if True:",
    ),
    Mutation(
        "world: what those who overhear are told",
        "world/embodied_world.py",
        'event = self._event("said", speaker, "says", others, text, sources=line.sources)',
        'event = self._event("said", speaker, "says", others, text)',
    ),
    Mutation(
        "world: on whose words a doing rests",
        "world/embodied_world.py",
        "body.activity, body.sources = activity, action.sources",
        "body.activity, body.sources = activity, ()",
    ),
    Mutation(
        "world: on whose words a doing that is seen rests",
        "world/perception.py",
        'event = Event("doing", body.who, "is", doing, text, place, body.sources)',
        'event = Event("doing", body.who, "is", doing, text, place)',
    ),
    Mutation(
        "world: on whose words a thing's state rests",
        "world/body_state.py",
        "return tuple(sorted({self.who, *self.sources}))",
        "return ()",
    ),
    Mutation(
        "world: lines as somebody hears them",
        "world/conversations.py",
        "if not line.audience or who == line.who or who in line.audience",
        "if True",
    ),
    Mutation(
        "world: who would hear a line",
        "world/perception.py",
        "tuple(hearer.who for hearer in hearers),",
        "(),",
    ),
    # -- planners
    Mutation(
        "draft: how what rests on less is rated",
        "planners/steps/step_builder.py",
        "plain=record.id in self._rests_on",
        "plain=False",
    ),
    Mutation(
        "draft: what is for some does not count",
        "planners/steps/step_builder.py",
        'if record.kind != "plan" and not record.audience',
        'if record.kind != "plan"',
    ),
)


def places(mutation: Mutation) -> int:
    """How often the words that a mutation replaces stand in its file."""
    return (ROOT / mutation.file).read_text("utf-8").count(mutation.old)


def mutated(mutation: Mutation, root: Path = ROOT) -> str:
    """The file of a mutation as it makes it."""
    return (root / mutation.file).read_text("utf-8").replace(mutation.old, mutation.new)


def killed(mutation: Mutation, package: Path, lives: int, tests: Sequence[str]) -> str:
    """What fails with a mutation in a copy of the package: lives, a test, or nothing."""
    file = package / mutation.file
    before = file.read_text("utf-8")
    file.write_text(mutated(mutation, package), "utf-8")
    try:
        lived = [
            "-m",
            "denizens.tests.support.noninterference",
            "--first-fault",
            "--lives",
            str(lives),
        ]
        if _told(package, lived) is not None:
            return "lives"
        there = [str(package / test) for test in tests if (package / test).exists()]
        if not there:
            return ""
        told = _told(package, ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *there])
        if told is None:
            return ""
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", told, re.MULTILINE)
        return failed[1].rpartition("/")[2] if failed else "a test"
    finally:
        file.write_text(before, "utf-8")


def _told(package: Path, words: Sequence[str]) -> str | None:
    """What a command says that fails; None where it does not."""
    paths = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=package,
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stdout


def main() -> None:
    """Apply one mutation after the other and say which survive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=12, help="how many scripts of each sort")
    parser.add_argument("--only", default="", help="words in the names of those to run")
    parser.add_argument("--part", default="0/1", help="which of how many shares, such as 0/2")
    parser.add_argument("--no-tests", action="store_true", help="the lives alone")
    given = parser.parse_args()
    tests = () if given.no_tests else FILES
    part, parts = map(int, given.part.split("/"))
    chosen = [one for one in MUTATIONS if given.only in one.name][part::parts]
    survived = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        package = Path(folder) / "denizens"
        unneeded = shutil.ignore_patterns(".venv", ".git", "__pycache__", "*.db", ".*_cache")
        shutil.copytree(ROOT, package, ignore=unneeded)
        for one in chosen:
            began = time.monotonic()
            by = killed(one, package, given.lives, tests)
            print(f"{one.name}: {by or 'SURVIVES'} ({time.monotonic() - began:.0f} s)", flush=True)
            survived += [] if by else [one.name]
    print(f"{len(chosen)} mutations, {len(survived)} survive: {survived}")


if __name__ == "__main__":
    main()
