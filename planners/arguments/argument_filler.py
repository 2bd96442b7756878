"""Filling a tool's arguments, field by field: candidates out of the request, weighed by what
speaks for each, and all fields decided together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from ...core import (
    Choice,
    Choose,
    Completion,
    Embed,
    Failed,
    Generate,
    Json,
    Message,
    Option,
    Seed,
    Thought,
    Time,
    ToolSpec,
    Vectors,
    all_of,
    choose,
    embed,
    generate,
    together,
)
from ..steps import render_prompt
from .argument_fields import (
    ArgumentField,
    fields_of,
    is_checkable,
    resolve_schema,
    satisfies_schema,
)
from .candidate_features import (
    FeatureExtractor,
    Features,
    TextSimilarity,
    field_group,
    is_comma_pair,
)
from .time_expressions import TIME_FORMATS
from .value_candidates import ArgumentCandidate, ParsedRequest, candidates_for

Weights: TypeAlias = Mapping[str, Mapping[str, float]]

MAX_ARGUMENT_TOKENS = (
    96  # tokens of all arguments written at once; a small model that goes on goes astray
)
MAX_DESCRIPTION_CHARS = 200  # characters of a description that the language model is shown
BEAM_WIDTH = 48
MAX_COMPLETIONS = 3  # names of a field that are completed
OVERLAP_PENALTY = 4.0  # what it costs that two fields take the same words of the request


@dataclass(frozen=True, slots=True)
class FieldCandidates:
    """A field, the candidates for it, and the signs of each; ``unwritten``: the model, when it
    wrote all arguments at once, left the field out."""

    field: ArgumentField
    candidates: tuple[ArgumentCandidate, ...]
    features: tuple[Features, ...]
    omitted_by_model: bool = False

    def scores(self, weights: Weights) -> list[float]:
        """Of each candidate; higher is likelier."""
        own = weights[field_group(self.field)]
        return [
            sum(own.get(name, 0.0) * sign for name, sign in one.items()) for one in self.features
        ]

    def absence_features(self) -> Features:
        """The signs of leaving the field out."""
        return {
            "absent": 1.0,
            "absent_default": float(self.field.default is not None),
            "unwritten": float(self.omitted_by_model),
        }


@cache
def default_weights() -> Weights:
    """The weights that come with the package."""
    text = files(__package__).joinpath("feature_weights.json").read_text(encoding="utf-8")
    found: Weights = json.loads(text)["weights"]
    return found


NOT_STATED = "unsaid"
"""Reason of a Failed whose detail names the fields that the request does not tell."""


def fill_fields(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = "", now: Time | None = None
) -> Thought[Json | Failed]:
    """Arguments for a tool as a request wants them. Failed where a field that must be there
    cannot be written, with the reason ``NOT_STATED`` where it must be told and is not: dates,
    times and durations always, for a tool that acts numbers and codes too."""
    fields = fields_of(spec)
    if not fields:
        return {}
    tables, whole = yield from collect_candidates(
        spec, request, seed=seed, context=context, now=now
    )
    made: dict[tuple[str, ...], Json] = {}
    for table, chosen in zip(tables, select_values(tables, default_weights())):
        if chosen is not None:
            made[table.field.path] = chosen.value
    missing = [one for one in fields if one.path not in made and _is_needed(one, spec, made)]
    if unsaid := [".".join(one.path) for one in missing if must_be_stated(one, spec)]:
        return Failed(reason=NOT_STATED, detail=", ".join(unsaid))
    said = f"{context}\n{request}"
    for one in missing:
        value = _value_at(whole, one.path)
        fit = not is_checkable(one.schema) or satisfies_schema(value, one.schema)
        if value is not None and fit and _may_generate(one, spec, value, said):
            made[one.path] = value
    missing = [one for one in missing if one.path not in made]
    written = yield from all_of([generate_field(one, spec, request, seed) for one in missing])
    for one, value in zip(missing, written):
        if isinstance(value, Failed):
            return value
        if not _may_generate(one, spec, value[0], said):
            return Failed(reason=NOT_STATED, detail=".".join(one.path))
        made[one.path] = value[0]
    return nest_values(spec.parameters, made)


def must_be_stated(one: ArgumentField, spec: ToolSpec) -> bool:
    """Whether a field's value is never made up: read in the request, or asked for."""
    if one.alternatives:
        return all(must_be_stated(way, spec) for way in one.alternatives)
    if one.format in TIME_FORMATS:
        return True
    acts, counted = spec.effect == "acts", one.kind in ("integer", "number")
    if acts and one.described_format:
        return True
    return acts and counted and not one.choices and one.default is None


def _may_generate(one: ArgumentField, spec: ToolSpec, value: Json, said: str) -> bool:
    """Whether a value that the model wrote may stand beside what the request offers."""
    if must_be_stated(one, spec):
        return False
    if spec.effect != "acts" or one.choices:
        return True
    # Of what acts, no number, address or code that nobody told.
    codes = re.findall(r"\S*[\d@/\\]\S*", value if isinstance(value, str) else json.dumps(value))
    return all(code.strip(".,;:!?\"'()[]") in said for code in codes)


def collect_candidates(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = "", now: Time | None = None
) -> Thought[tuple[list[FieldCandidates], Json | Failed]]:
    """The candidates of each field with their signs, in two rounds of asks, and what the model
    wrote for all of them at once."""
    reading = ParsedRequest(f"{context}\n{request}" if context else request, now)
    fields = [one for one in fields_of(spec) if is_checkable(one.schema)]
    offers = [candidates_for(one, reading) for one in fields]
    if spec.effect == "acts":  # a text that is to be a date or a time is nothing else
        offers = [
            [c for c in offered if not one.described_format or c.kind == "date"]
            for one, offered in zip(fields, offers)
        ]
    evidence = FeatureExtractor(spec, fields, reading)
    texts = {
        text
        for one, offered in zip(fields, offers)
        for text in evidence.texts_to_embed(one, offered)
    }
    near, written, completed = yield from together(
        _embed_similarity(sorted(texts)),
        generate_arguments(spec, request, seed=seed, context=context),
        all_of([_complete_names(one, offered, reading) for one, offered in zip(fields, offers)]),
    )
    values = [_value_at(written, one.path) for one in fields]
    # What it wrote speaks for a candidate that was told; it becomes one only where it may.
    own_words = [
        value if _may_generate(one, spec, value, reading.text) else None
        for one, value in zip(fields, values)
    ]
    offers = [
        _with_generated(one, [*offered, *more], value)
        for one, offered, more, value in zip(fields, offers, completed, own_words)
    ]
    told = yield from all_of(
        [_likelihoods(one, offered, reading) for one, offered in zip(fields, offers)]
    )
    tables = []
    for one, offered, likely, value in zip(fields, offers, told, values):
        signs = evidence.extract(one, offered, near, likely)
        for candidate, own in zip(offered, signs):
            own["wrote"] = float(value is not None and _equal_values(candidate.value, value))
        tables.append(FieldCandidates(one, tuple(offered), tuple(signs), value is None))
    return tables, written


def _embed_similarity(texts: Sequence[str]) -> Thought[TextSimilarity]:
    """Cosines of texts; 0 for what was not embedded."""
    if not texts:
        return lambda one, other: 0.0
    answer = yield from embed(Embed(texts=tuple(texts)))
    if not isinstance(answer, Vectors):
        return lambda one, other: 0.0
    rows = dict(zip(texts, answer.array()))
    return lambda one, other: float(rows[one] @ rows[other]) if other in rows else 0.0


def _value_prompt(one: ArgumentField, text: str) -> tuple[Message, ...]:
    about = f" ({one.description[:MAX_DESCRIPTION_CHARS]})" if one.description else ""
    return render_prompt("value", request=text, name=one.label, about=about)


def generate_arguments(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = ""
) -> Thought[Json | Failed]:
    """All arguments as the language model writes them at once, under the schema's grammar."""
    said = f"{context}\n{request}" if context else request
    answer = yield from generate(
        Generate(
            messages=render_prompt("arguments", tool=spec.name, about=spec.description, line=said),
            max_tokens=MAX_ARGUMENT_TOKENS,
            temperature=0.0,
            seed=seed.number,
            schema=spec.parameters,
            role="arguments",
        )
    )
    if not isinstance(answer, Completion):
        return answer
    if not isinstance(answer.data, dict):
        return Failed(reason="schema", detail=f"{spec.name}: no object of arguments was written")
    return answer.data


def _value_at(written: Json | Failed, path: tuple[str, ...]) -> Json:
    """The value at a path of what the model wrote; None where there is none."""
    found: Json = None if isinstance(written, Failed) else written
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _equal_values(one: Json, other: Json) -> bool:
    """Whether two values are the same, texts in whatever case."""
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().lower() == other.strip().lower()
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _complete_names(
    one: ArgumentField, offered: Sequence[ArgumentCandidate], reading: ParsedRequest
) -> Thought[list[ArgumentCandidate]]:
    """Names of one part with the second that the field's form wants: "Paris, France"."""
    if not is_comma_pair(one) or one.kind != "string":
        return []
    bare = [c for c in offered if c.kind == "name" and "," not in c.label][:MAX_COMPLETIONS]
    found = []
    answers = yield from all_of(
        [
            generate(
                Generate(
                    messages=(
                        *_value_prompt(one, reading.text),
                        Message.of("assistant", f"{candidate.label},"),
                    ),
                    max_tokens=6,
                    temperature=0.0,
                    stop=("\n", ".", ","),
                    role="value",
                )
            )
            for candidate in bare
        ]
    )
    for candidate, answer in zip(bare, answers):
        if isinstance(answer, Completion) and answer.text.strip():
            label = f"{candidate.label}, {answer.text.strip()}"
            found.append(replace(candidate, value=label, label=label, kind="completed"))
    known = {candidate.label for candidate in offered}
    return [c for c in found if c.label not in known and satisfies_schema(c.value, one.schema)]


def _with_generated(
    one: ArgumentField, offered: list[ArgumentCandidate], value: Json
) -> list[ArgumentCandidate]:
    """The candidates, and the value that the model wrote where that is none of them."""
    known = any(_equal_values(candidate.value, value) for candidate in offered)
    if value is None or value in ("", []) or known or not satisfies_schema(value, one.schema):
        return offered
    label = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not label.strip() or any(candidate.label == label for candidate in offered):
        return offered
    return [*offered, ArgumentCandidate(value, label, kind="written")]


def _likelihoods(
    one: ArgumentField, offered: Sequence[ArgumentCandidate], reading: ParsedRequest
) -> Thought[dict[str, float]]:
    """The log-probability of each candidate's label as the reply, among all of them."""
    if len(offered) < 2:
        return {}
    answer = yield from choose(
        Choose(
            messages=_value_prompt(one, reading.text),
            options=tuple(Option(candidate.label) for candidate in offered),
            about=reading.text,
            role="value",
        )
    )
    if not isinstance(answer, Choice):
        return {}
    from math import log

    labels = [candidate.label for candidate in offered]
    return {label: log(max(p, 1e-30)) for label, p in zip(labels, answer.probabilities)}


def select_values(
    tables: Sequence[FieldCandidates], weights: Weights
) -> list[ArgumentCandidate | None]:
    """The likeliest candidates of all fields together; None where a field stays out.

    A beam over the fields: no words of the request should serve two of them."""
    beam: list[tuple[float, tuple[ArgumentCandidate | None, ...]]] = [(0.0, ())]
    for table in tables:
        own: list[tuple[float, ArgumentCandidate | None]] = []
        for score, candidate in zip(table.scores(weights), table.candidates):
            own.append((score, candidate))
        if not table.field.required or not own:
            leave = weights[field_group(table.field)]
            away = sum(
                leave.get(name, 0.0) * sign for name, sign in table.absence_features().items()
            )
            own.append((away, None))
        own = sorted(own, key=lambda pair: -pair[0])[:10]
        grown = [
            (total + score - _overlap_penalty(candidate, before), (*before, candidate))
            for total, before in beam
            for score, candidate in own
        ]
        beam = sorted(grown, key=lambda pair: -pair[0])[:BEAM_WIDTH]
    return [*beam[0][1]]


def _overlap_penalty(
    candidate: ArgumentCandidate | None, before: Iterable[ArgumentCandidate | None]
) -> float:
    """What it costs to take words that were taken before."""
    if candidate is None or candidate.start < 0 or candidate.kind == "choice":
        return 0.0
    taken = sum(
        candidate.start < other.end and other.start < candidate.end
        for other in before
        if other is not None and other.start >= 0 and other.kind != "choice"
    )
    return OVERLAP_PENALTY * taken


def _is_needed(one: ArgumentField, spec: ToolSpec, made: Mapping[tuple[str, ...], Json]) -> bool:
    """Whether a field must be there: it is required, and so is all that it is in, or other
    fields brought that in."""
    schema = spec.parameters
    for depth, name in enumerate(one.path, 1):
        inside = any(path[:depth] == one.path[:depth] for path in made)
        if name not in schema.get("required", ()) and not inside:
            return False
        schema = resolve_schema(schema["properties"][name], spec.parameters)
    return True


def generate_field(
    one: ArgumentField, spec: ToolSpec, request: str, seed: Seed
) -> Thought[tuple[Json] | Failed]:
    """A field's value, written under the grammar of its schema."""
    shared = {
        key: spec.parameters[key] for key in ("$defs", "definitions") if key in spec.parameters
    }
    answer = yield from generate(
        Generate(
            messages=render_prompt("arguments", tool=spec.name, about=one.text, line=request),
            max_tokens=96,
            temperature=0.0,
            seed=seed.child("write", *one.path).number,
            schema={
                **shared,
                "type": "object",
                "properties": {one.name: one.schema},
                "required": [one.name],
                "additionalProperties": False,
            },
            role="arguments",
        )
    )
    if not isinstance(answer, Completion):
        return answer
    told = answer.data
    if not isinstance(told, dict) or one.name not in told:
        return Failed(reason="schema", detail=f"no value for '{'.'.join(one.path)}' was written")
    value = told[one.name]
    if is_checkable(one.schema) and not satisfies_schema(value, one.schema):
        detail = f"{value!r} for '{'.'.join(one.path)}' does not fit its schema"
        return Failed(reason="schema", detail=detail)
    return (value,)


def nest_values(
    schema: Json, made: Mapping[tuple[str, ...], Json], root: Json = None
) -> dict[str, Json]:
    """Values by their paths as one object, in the schema's order; objects that must be there
    are."""
    root = schema if root is None else root
    found: dict[str, Json] = {}
    for name, value in schema.get("properties", {}).items():
        inner = resolve_schema(value, root)
        below = {path[1:]: one for path, one in made.items() if path[0] == name}
        if () in below:
            found[name] = below[()]
        elif below or (name in schema.get("required", ()) and inner.get("properties")):
            found[name] = nest_values(inner, below, root)
    return found
