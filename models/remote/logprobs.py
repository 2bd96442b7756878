"""Reads log-probabilities from replies, and the probability of each label of a guided reply."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, isnan
from typing import Any, TypeAlias, TypeVar

from ...core import Json, name_matcher, normalize, same_name
from .structured_output import LiteralFloat, iter_json, unwrap_values

T = TypeVar("T")
TokenLogprob: TypeAlias = "tuple[str, float]"
"""A token's text and its log-probability."""


def suffix_logprobs(tokens: Sequence[TokenLogprob], target: str) -> list[float]:
    """The log-probabilities of the last tokens of a prompt, which spell ``target``.

    Counted from the end, since the first tokens may be special ones without text. A token that
    begins before the target is not counted. Empty where no tokens spell the target.

    >>> suffix_logprobs([("The", -3.0), (" cat", -2.0), (" eats", -1.0), ("!", -0.5)], " eats!")
    [-1.0, -0.5]
    """
    remaining = len(target)
    logprobs: list[float] = []
    for text, logprob in reversed(tokens):
        if len(text) > remaining:
            break
        remaining -= len(text)
        logprobs.append(logprob)
    return logprobs[::-1]


def echo_logprobs(choice: dict[str, Any], prompt_tokens: int) -> list[TokenLogprob]:
    """The tokens of a prompt, from a text completion with ``echo`` and ``logprobs``."""
    fields = choice.get("logprobs")
    fields = fields if isinstance(fields, dict) else {}
    tokens, logprobs = fields.get("tokens") or [], fields.get("token_logprobs") or []
    # The first token has no log-probability. Generated tokens follow those of the prompt.
    pairs = list(zip(tokens, logprobs))[:prompt_tokens]
    return [(str(text), float(logprob)) for text, logprob in pairs if logprob is not None]


def prompt_logprobs(choice: dict[str, Any]) -> list[TokenLogprob]:
    """The tokens of a prompt in vLLM's form: a table of candidates each, the actual one first."""
    tokens: list[TokenLogprob] = []
    for table in choice.get("prompt_logprobs") or []:
        if table:
            candidate = next(iter(table.values()))
            tokens.append((str(candidate.get("decoded_token") or ""), float(candidate["logprob"])))
    return tokens


@dataclass(frozen=True, slots=True)
class TokenStep:
    """A generated token, and the log-probabilities of the candidates for its position."""

    token: str
    candidates: tuple[TokenLogprob, ...]


def parse_steps(choice: dict[str, Any]) -> list[TokenStep]:
    """The generated tokens of a chat completion; empty where the server sends none."""
    fields = choice.get("logprobs")
    content = fields.get("content") if isinstance(fields, dict) else None
    steps: list[TokenStep] = []
    for entry in content if isinstance(content, list) else []:
        if not _is_logprob(entry.get("logprob")):
            return []
        own, *alternatives = [
            _parse_candidate(token) for token in (entry, *(entry.get("top_logprobs") or []))
        ]
        steps.append(TokenStep(own[0], tuple({own: None, **dict.fromkeys(alternatives)})))
    return steps


def _is_logprob(value: object) -> bool:
    """Whether a value is the log-probability of a generated token: servers that have none send
    null, NaN, -9999 or a probability.

    >>> _is_logprob(-0.2), _is_logprob(None), _is_logprob(-9999.0), _is_logprob(0.9)
    (True, False, False, False)
    """
    return isinstance(value, int | float) and -1000 < value < 1e-3


def _parse_candidate(token: dict[str, Any]) -> TokenLogprob:
    value = token.get("logprob")
    logprob = -inf if value is None else float(value)
    return str(token.get("token") or ""), -inf if isnan(logprob) else min(logprob, 0.0)


def read_leniently(reader: Callable[[dict[str, Any]], list[T]], choice: dict[str, Any]) -> list[T]:
    """The result of ``reader`` for a choice; empty where the choice has an unknown form, so that no
    reply can abort a run."""
    try:
        return reader(choice)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, StopIteration):
        return []


def guided_schema(field: str, labels: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of an object with one field, whose value is one of the labels."""
    return {
        "type": "object",
        "properties": {field: {"type": "string", "enum": list(labels)}},
        "required": [field],
        "additionalProperties": False,
    }


def guided_label(field: str, text: str, labels: Sequence[str]) -> int | None:
    """The index of the label that a reply chose: in JSON (also fenced or among words), as the whole
    text, or as the only label in a sentence. None where there is none or several.

    >>> guided_label("choice", 'Sure! ```json\\n{"choice": "wait"}\\n```', ["talk", "wait"])
    1
    >>> guided_label("rating", '{"rating": 7.0}', ["6", "7"])
    1
    """
    indices = {
        index
        for value in iter_json(text)
        for candidate in unwrap_values(value)
        if (index := _label_index(_chosen_value(field, candidate), labels)) is not None
    }
    if not indices:
        index_of_text = _label_index(
            re.sub(rf"^\s*{field}\s*[:=]", "", text, flags=re.IGNORECASE), labels
        )
        indices = {index_of_text} if index_of_text is not None else _mentioned_labels(text, labels)
    return indices.pop() if len(indices) == 1 else None


def _mentioned_labels(text: str, labels: Sequence[str]) -> set[int]:
    """The indices of the labels that a sentence mentions; of nested labels only the longest."""
    body = normalize(text)
    longest_first = sorted(range(len(labels)), key=lambda index: -len(labels[index]))
    mentioned: set[int] = set()
    for index in longest_first:
        if name_matcher(labels[index])(body):
            mentioned.add(index)
            body = body.replace(normalize(labels[index]), "\n")
    return mentioned


def _chosen_value(field: str, value: Json) -> Json:
    """The value of the field, or of an object's only field, or the value itself."""
    if not isinstance(value, dict):
        return value
    return value.get(field, next(iter(value.values())) if len(value) == 1 else None)


def _label_index(value: Json, labels: Sequence[str]) -> int | None:
    """The index of a label in any form: as a number, in other case, in quotes, with a full stop.
    None where there is no such label, or several."""
    if isinstance(value, LiteralFloat):
        value = value.as_integer
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    if value in labels:
        return labels.index(value)
    stripped = value.strip("\"'`*_.!\u201c\u201d \n")
    matches = [index for index, label in enumerate(labels) if same_name(stripped, label)]
    return matches[0] if len(matches) == 1 else None


def guided_probabilities(
    field: str, reply_text: str, steps: Sequence[TokenStep], labels: Sequence[str]
) -> list[float]:
    """The probability of each label in a guided reply; the sum is 1.

    Follows the tokens of the reply. Where candidates lead to different labels, their probabilities
    are renormalized over the candidates that lead to any label. A candidate that leads to several
    labels counts for each equally. Labels that no candidate leads to share the rest, at most the
    probability of the least likely candidate. Without log-probabilities the chosen label gets 1.
    """
    chosen = guided_label(field, reply_text, labels)
    # Not always the reply's text: llama.cpp removes a fence from the text, not from the tokens.
    reply = "".join(step.token for step in steps)
    start = re.search(r'\{\s*"[^"]*"\s*:\s*', reply)
    prefix = reply[: start.end()] if start else ""
    replies = [prefix + json.dumps(label, ensure_ascii=False) for label in labels]
    weights = [0.0] * len(labels)
    alive, mass, text_so_far = list(range(len(labels))), 1.0, ""
    for step in steps:
        branches = _branches(replies, alive, text_so_far, step)
        if not branches or len(alive) == 1:
            break
        remaining = [i for i in alive if _is_prefix(replies[i], text_so_far + step.token)]
        for label, share in branches.items():
            if label not in remaining:
                weights[label] += mass * share
        mass *= fsum(branches[i] for i in remaining)
        alive, text_so_far = remaining, text_so_far + step.token
    if not steps or not alive or chosen is None or not _is_prefix(replies[chosen], reply):
        # No tokens, or tokens that spell the label differently (fences, blanks, escapes).
        return [float(i == chosen) for i in range(len(labels))]
    for i in alive:
        weights[i] += mass / len(alive)
    total = fsum(weights)  # independent of their order
    return [weight / total for weight in weights]


def _branches(
    replies: Sequence[str], alive: list[int], prefix: str, step: TokenStep
) -> dict[int, float]:
    """The share of each label in ``alive`` of this token's candidates; the sum is 1. Empty where
    no candidate leads to any."""
    shares = dict.fromkeys(alive, 0.0)
    for token, logprob in step.candidates:
        matching = [i for i in alive if token and _is_prefix(replies[i], prefix + token)]
        for i in matching:
            shares[i] += exp(logprob) / len(matching)
    unmatched = [i for i in alive if shares[i] == 0.0]
    if len(unmatched) == len(alive):
        return {}
    probabilities = [exp(logprob) for _, logprob in step.candidates]
    unseen = min(min(probabilities), max(0.0, 1.0 - fsum(probabilities)))
    for i in unmatched:
        shares[i] = unseen / len(unmatched)
    total = fsum(shares.values())
    return {i: weight / total for i, weight in shares.items()}


def _is_prefix(first: str, second: str) -> bool:
    """Whether one text is a prefix of the other: a token may extend past the last quote."""
    return first.startswith(second) or second.startswith(first)
