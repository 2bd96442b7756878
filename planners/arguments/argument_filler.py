"""Fills the arguments of a tool call: candidates from the request, scored by weighted features,
and the values of all fields selected together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from math import log
from typing import TypeAlias

from ...core import (
    Choice,
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
    embed,
    generate,
    together,
)
from ..steps import choose_among, render_prompt
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
Path: TypeAlias = tuple[str, ...]

MAX_ARGUMENT_TOKENS = 96  # of generated arguments; a small model drifts in longer ones
MAX_DESCRIPTION_CHARS = 200  # of a field's description in a prompt
BEAM_WIDTH = 48
MAX_COMPLETIONS = 3  # names of a field that are completed ("Paris" to "Paris, France")
OVERLAP_PENALTY = 4.0  # for two fields that take the same words of the request
NOT_STATED = "unsaid"
"""Reason of a Failed whose detail lists the fields that the request does not state."""


@dataclass(frozen=True, slots=True)
class FieldCandidates:
    """A field with its candidates and the features of each. ``omitted_by_model``: the model left
    the field out when it generated all arguments at once."""

    field: ArgumentField
    candidates: tuple[ArgumentCandidate, ...]
    features: tuple[Features, ...]
    omitted_by_model: bool = False

    def scores(self, weights: Weights) -> list[float]:
        """The weighted sum of each candidate's features."""
        own_weights = weights[field_group(self.field)]
        return [_weighted(features, own_weights) for features in self.features]

    def absence_features(self) -> Features:
        """The features of leaving the field out."""
        return {
            "absent": 1.0,
            "absent_default": float(self.field.default is not None),
            "unwritten": float(self.omitted_by_model),
        }


def _weighted(features: Features, weights: Mapping[str, float]) -> float:
    return sum(weights.get(name, 0.0) * value for name, value in features.items())


@cache
def default_weights() -> Weights:
    """The fitted weights in ``feature_weights.json``."""
    text = files(__package__).joinpath("feature_weights.json").read_text(encoding="utf-8")
    weights: Weights = json.loads(text)["weights"]
    return weights


def fill_fields(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = "", now: Time | None = None
) -> Thought[Json | Failed]:
    """The arguments of a tool as a request states them.

    Failed if a required field has no value; with the reason ``NOT_STATED`` if it must be stated
    (see ``must_be_stated``)."""
    fields = fields_of(spec)
    if not fields:
        return {}
    tables, generated = yield from collect_candidates(
        spec, request, seed=seed, context=context, now=now
    )
    values: dict[Path, Json] = {}
    for table, candidate in zip(tables, select_values(tables, default_weights())):
        if candidate is not None:
            values[table.field.path] = candidate.value
    missing = [
        field for field in fields if field.path not in values and _is_needed(field, spec, values)
    ]
    if unstated := [".".join(field.path) for field in missing if must_be_stated(field, spec)]:
        return Failed(reason=NOT_STATED, detail=", ".join(unstated))
    text = f"{context}\n{request}"
    for field in missing:
        value = _value_at(generated, field.path)
        valid = not is_checkable(field.schema) or satisfies_schema(value, field.schema)
        if value is not None and valid and _may_generate(field, spec, value, text):
            values[field.path] = value
    missing = [field for field in missing if field.path not in values]
    answers = yield from all_of([generate_field(field, spec, request, seed) for field in missing])
    for field, answer in zip(missing, answers):
        if isinstance(answer, Failed):
            return answer
        if not _may_generate(field, spec, answer[0], text):
            return Failed(reason=NOT_STATED, detail=".".join(field.path))
        values[field.path] = answer[0]
    return nest_values(spec.parameters, values)


def must_be_stated(field: ArgumentField, spec: ToolSpec) -> bool:
    """Whether a value must come from the request: dates, times and durations always, and for a
    tool that acts also numbers without a default."""
    if field.alternatives:
        return all(must_be_stated(alternative, spec) for alternative in field.alternatives)
    if field.format in TIME_FORMATS:
        return True
    if spec.effect != "acts":
        return False
    is_number = field.kind in ("integer", "number")
    return bool(field.described_format) or (
        is_number and not field.choices and field.default is None
    )


def _may_generate(field: ArgumentField, spec: ToolSpec, value: Json, text: str) -> bool:
    """Whether a value generated by the model is acceptable: for a tool that acts, only if all
    its numbers, addresses and codes occur in the text."""
    if must_be_stated(field, spec):
        return False
    if spec.effect != "acts" or field.choices:
        return True
    codes = re.findall(r"\S*[\d@/\\]\S*", value if isinstance(value, str) else json.dumps(value))
    return all(code.strip(".,;:!?\"'()[]") in text for code in codes)


def collect_candidates(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = "", now: Time | None = None
) -> Thought[tuple[list[FieldCandidates], Json | Failed]]:
    """The candidates of each field with their features, and the arguments that the model
    generated at once; in two rounds of asks."""
    parsed = ParsedRequest(f"{context}\n{request}" if context else request, now)
    fields = [field for field in fields_of(spec) if is_checkable(field.schema)]
    lists = [candidates_for(field, parsed) for field in fields]
    if spec.effect == "acts":  # a text that is to be a date or a time is nothing else
        lists = [
            [c for c in candidates if not field.described_format or c.kind == "date"]
            for field, candidates in zip(fields, lists)
        ]
    extractor = FeatureExtractor(spec, fields, parsed)
    texts = {
        text
        for field, candidates in zip(fields, lists)
        for text in extractor.texts_to_embed(field, candidates)
    }
    similarity, generated, completed = yield from together(
        _embed_similarity(sorted(texts)),
        generate_arguments(spec, request, seed=seed, context=context),
        all_of([_complete_names(*pair, parsed) for pair in zip(fields, lists)]),
    )
    values = [_value_at(generated, field.path) for field in fields]
    # A generated value supports an equal candidate; it becomes one only where that is allowed.
    lists = [
        _with_generated(
            field,
            [*candidates, *more],
            value if _may_generate(field, spec, value, parsed.text) else None,
        )
        for field, candidates, more, value in zip(fields, lists, completed, values)
    ]
    likelihoods = yield from all_of([_likelihoods(*pair, parsed) for pair in zip(fields, lists)])
    tables = []
    for field, candidates, likelihood, value in zip(fields, lists, likelihoods, values):
        rows = extractor.extract(field, candidates, similarity, likelihood)
        for candidate, features in zip(candidates, rows):
            features["wrote"] = float(value is not None and _equal_values(candidate.value, value))
        tables.append(FieldCandidates(field, tuple(candidates), tuple(rows), value is None))
    return tables, generated


def _embed_similarity(texts: Sequence[str]) -> Thought[TextSimilarity]:
    """The cosine similarity of two of the texts; 0 for texts that were not embedded."""
    if not texts:
        return lambda first, second: 0.0
    answer = yield from embed(Embed(texts=tuple(texts)))
    if not isinstance(answer, Vectors):
        return lambda first, second: 0.0
    rows = dict(zip(texts, answer.array()))
    return lambda first, second: float(rows[first] @ rows[second]) if second in rows else 0.0


def _value_prompt(field: ArgumentField, text: str) -> tuple[Message, ...]:
    about = f" ({field.description[:MAX_DESCRIPTION_CHARS]})" if field.description else ""
    return render_prompt("value", request=text, name=field.label, about=about)


def generate_arguments(
    spec: ToolSpec, request: str, *, seed: Seed, context: str = ""
) -> Thought[Json | Failed]:
    """All arguments of a call, generated at once under the tool's schema."""
    line = f"{context}\n{request}" if context else request
    answer = yield from generate(
        Generate(
            messages=render_prompt("arguments", tool=spec.name, about=spec.description, line=line),
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


def _value_at(generated: Json | Failed, path: Path) -> Json:
    value: Json = None if isinstance(generated, Failed) else generated
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _equal_values(first: Json, second: Json) -> bool:
    if isinstance(first, str) and isinstance(second, str):
        return first.strip().lower() == second.strip().lower()
    return first == second and isinstance(first, bool) == isinstance(second, bool)


def _complete_names(
    field: ArgumentField, candidates: Sequence[ArgumentCandidate], parsed: ParsedRequest
) -> Thought[list[ArgumentCandidate]]:
    """Names completed by the second part that the field's form requires: "Paris, France"."""
    if not is_comma_pair(field) or field.kind != "string":
        return []
    names = [c for c in candidates if c.kind == "name" and "," not in c.label][:MAX_COMPLETIONS]
    answers = yield from all_of(
        [
            generate(
                Generate(
                    messages=(
                        *_value_prompt(field, parsed.text),
                        Message.of("assistant", f"{name.label},"),
                    ),
                    max_tokens=6,
                    temperature=0.0,
                    stop=("\n", ".", ","),
                    role="value",
                )
            )
            for name in names
        ]
    )
    known = {candidate.label for candidate in candidates}
    completed = []
    for name, answer in zip(names, answers):
        if isinstance(answer, Completion) and answer.text.strip():
            label = f"{name.label}, {answer.text.strip()}"
            if label not in known and satisfies_schema(label, field.schema):
                completed.append(replace(name, value=label, label=label, kind="completed"))
    return completed


def _with_generated(
    field: ArgumentField, candidates: list[ArgumentCandidate], value: Json
) -> list[ArgumentCandidate]:
    known = any(_equal_values(candidate.value, value) for candidate in candidates)
    if value is None or value in ("", []) or known or not satisfies_schema(value, field.schema):
        return candidates
    label = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if not label.strip() or any(candidate.label == label for candidate in candidates):
        return candidates
    return [*candidates, ArgumentCandidate(value, label, kind="written")]


def _likelihoods(
    field: ArgumentField, candidates: Sequence[ArgumentCandidate], parsed: ParsedRequest
) -> Thought[dict[str, float]]:
    """The log-probability of each candidate's label as the reply; empty for fewer than two."""
    if len(candidates) < 2:
        return {}
    labels = [candidate.label for candidate in candidates]
    messages = _value_prompt(field, parsed.text)
    answer = yield from choose_among(
        map(Option, labels), about=parsed.text, role="value", messages=messages
    )
    if not isinstance(answer, Choice):
        return {}
    return {label: log(max(p, 1e-30)) for label, p in zip(labels, answer.probabilities)}


def select_values(
    tables: Sequence[FieldCandidates], weights: Weights
) -> list[ArgumentCandidate | None]:
    """The best combination of one candidate per field, found by beam search; None for a field
    that stays out. Two fields that take the same words of the request are penalized."""
    beam: list[tuple[float, tuple[ArgumentCandidate | None, ...]]] = [(0.0, ())]
    for table in tables:
        options: list[tuple[float, ArgumentCandidate | None]] = []
        options += zip(table.scores(weights), table.candidates)
        if not table.field.required or not options:
            own_weights = weights[field_group(table.field)]
            options.append((_weighted(table.absence_features(), own_weights), None))
        options = sorted(options, key=lambda pair: -pair[0])[:10]
        extended = [
            (total + score - _overlap_penalty(candidate, chosen), (*chosen, candidate))
            for total, chosen in beam
            for score, candidate in options
        ]
        beam = sorted(extended, key=lambda pair: -pair[0])[:BEAM_WIDTH]
    return [*beam[0][1]]


def _overlap_penalty(
    candidate: ArgumentCandidate | None, chosen: Iterable[ArgumentCandidate | None]
) -> float:
    if candidate is None or candidate.start < 0 or candidate.kind == "choice":
        return 0.0
    overlaps = sum(
        candidate.start < other.end and other.start < candidate.end
        for other in chosen
        if other is not None and other.start >= 0 and other.kind != "choice"
    )
    return OVERLAP_PENALTY * overlaps


def _is_needed(field: ArgumentField, spec: ToolSpec, values: Mapping[Path, Json]) -> bool:
    """Whether a field must have a value: it and the objects around it are required, or another
    field of such an object has a value."""
    schema = spec.parameters
    for depth, name in enumerate(field.path, 1):
        present = any(path[:depth] == field.path[:depth] for path in values)
        if name not in schema.get("required", ()) and not present:
            return False
        schema = resolve_schema(schema["properties"][name], spec.parameters)
    return True


def generate_field(
    field: ArgumentField, spec: ToolSpec, request: str, seed: Seed
) -> Thought[tuple[Json] | Failed]:
    """The value of one field, generated under its schema."""
    definitions = {
        key: spec.parameters[key] for key in ("$defs", "definitions") if key in spec.parameters
    }
    answer = yield from generate(
        Generate(
            messages=render_prompt("arguments", tool=spec.name, about=field.text, line=request),
            max_tokens=96,
            temperature=0.0,
            seed=seed.child("write", *field.path).number,
            schema={
                **definitions,
                "type": "object",
                "properties": {field.name: field.schema},
                "required": [field.name],
                "additionalProperties": False,
            },
            role="arguments",
        )
    )
    if not isinstance(answer, Completion):
        return answer
    path = ".".join(field.path)
    if not isinstance(answer.data, dict) or field.name not in answer.data:
        return Failed(reason="schema", detail=f"no value for '{path}' was written")
    value = answer.data[field.name]
    if is_checkable(field.schema) and not satisfies_schema(value, field.schema):
        return Failed(reason="schema", detail=f"{value!r} for '{path}' does not fit its schema")
    return (value,)


def nest_values(schema: Json, values: Mapping[Path, Json], root: Json = None) -> dict[str, Json]:
    """Values by path as one nested object in the schema's order, with its required objects."""
    root = schema if root is None else root
    result: dict[str, Json] = {}
    for name, subschema in schema.get("properties", {}).items():
        subschema = resolve_schema(subschema, root)
        inside = {path[1:]: value for path, value in values.items() if path[0] == name}
        required = name in schema.get("required", ()) and subschema.get("properties")
        if () in inside:
            result[name] = inside[()]
        elif inside or required:
            result[name] = nest_values(subschema, inside, root)
    return result
