"""From the log-probabilities that a server tells to how likely each option is."""

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


def normalized(weights: Sequence[float]) -> list[float]:
    """Weights divided by their sum; fsum, for options may come in any order."""
    total = fsum(weights)
    return [weight / total for weight in weights]


def suffix_logprobs(told: Sequence[TokenLogprob], target: str) -> list[float]:
    """Log-probabilities of the tokens of a prompt that make up its end, ``target``.

    Counted from the end: in front stand tokens that no text shows. A token across the
    border belongs to what is before it. Empty when the tokens do not spell the target.

    >>> suffix_logprobs([("The", -3.0), (" cat", -2.0), (" eats", -1.0), ("!", -0.5)], " eats!")
    [-1.0, -0.5]
    """
    left = len(target)
    scores: list[float] = []
    for text, score in reversed(told):
        if len(text) > left:
            break
        left -= len(text)
        scores.append(score)
    return scores[::-1]


def echo_logprobs(choice: dict[str, Any], prompt_tokens: int) -> list[TokenLogprob]:
    """The prompt's tokens in the old completions form: ``echo`` with ``logprobs``."""
    told = choice.get("logprobs")
    told = told if isinstance(told, dict) else {}
    tokens, scores = told.get("tokens") or [], told.get("token_logprobs") or []
    # The first has nothing before it and no probability; behind them is what was written.
    pairs = list(zip(tokens, scores))[:prompt_tokens]
    return [(str(text), float(score)) for text, score in pairs if score is not None]


def prompt_logprobs(choice: dict[str, Any]) -> list[TokenLogprob]:
    """The prompt's tokens in vLLM's form: one table of candidates each, its own first."""
    told: list[TokenLogprob] = []
    for table in choice.get("prompt_logprobs") or []:
        if table:
            own = next(iter(table.values()))
            told.append((str(own.get("decoded_token") or ""), float(own["logprob"])))
    return told


@dataclass(frozen=True, slots=True)
class TokenStep:
    """A written token, and the log-probabilities of the candidates for its place."""

    token: str
    candidates: tuple[TokenLogprob, ...]


def parse_steps(choice: dict[str, Any]) -> list[TokenStep]:
    """The written tokens of a chat completion, empty when the server tells none."""
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    steps: list[TokenStep] = []
    for one in content if isinstance(content, list) else []:
        if not _is_logprob(one.get("logprob")):
            return []
        own, *others = [
            _parse_candidate(token) for token in (one, *(one.get("top_logprobs") or []))
        ]
        steps.append(TokenStep(own[0], tuple({own: None, **dict.fromkeys(others)})))
    return steps


def _is_logprob(score: object) -> bool:
    """Whether a written token's log-probability is one: servers that know none send null, NaN,
    -9999 or a probability.

    >>> _is_logprob(-0.2), _is_logprob(None), _is_logprob(-9999.0), _is_logprob(0.9)
    (True, False, False, False)
    """
    return isinstance(score, int | float) and -1000 < score < 1e-3


def _parse_candidate(token: dict[str, Any]) -> TokenLogprob:
    score = token.get("logprob")
    number = -inf if score is None else float(score)
    return str(token.get("token") or ""), -inf if isnan(number) else min(number, 0.0)


def read_leniently(reader: Callable[[dict[str, Any]], list[T]], choice: dict[str, Any]) -> list[T]:
    """What a reader of probabilities finds in a choice; nothing where they have another form
    than servers are known to send, so that no reply can end a run."""
    try:
        return reader(choice)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, StopIteration):
        return []


def guided_schema(field: str, labels: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an object with one field, which is one of the labels."""
    return {
        "type": "object",
        "properties": {field: {"type": "string", "enum": list(labels)}},
        "required": [field],
        "additionalProperties": False,
    }


def guided_label(field: str, text: str, labels: Sequence[str]) -> int | None:
    """Which label a reply chose: in JSON, fenced or among words, alone, or in a sentence that
    names no other. None when it is none of them, several, or cut off.

    >>> guided_label("choice", 'Sure! ```json\\n{"choice": "wait"}\\n```', ["talk", "wait"])
    1
    >>> guided_label("rating", '{"rating": 7.0}', ["6", "7"])
    1
    """
    found = {
        place
        for value in iter_json(text)
        for one in unwrap_values(value)
        if (place := _label_index(_chosen_value(field, one), labels)) is not None
    }
    if not found:
        alone = _label_index(re.sub(rf"^\s*{field}\s*[:=]", "", text, flags=re.IGNORECASE), labels)
        found = {alone} if alone is not None else _mentioned_labels(text, labels)
    return found.pop() if len(found) == 1 else None


def _mentioned_labels(text: str, labels: Sequence[str]) -> set[int]:
    """The labels that a sentence names; of labels within each other the longest."""
    body = normalize(text)
    places = sorted(range(len(labels)), key=lambda place: -len(labels[place]))
    found: set[int] = set()
    for place in places:
        if name_matcher(labels[place])(body):
            found.add(place)
            body = body.replace(normalize(labels[place]), "\n")
    return found


def _chosen_value(field: str, value: Json) -> Json:
    """What a JSON value chose: the field's value, that of the only field, or itself."""
    if not isinstance(value, dict):
        return value
    return value.get(field, next(iter(value.values())) if len(value) == 1 else None)


def _label_index(said: Json, labels: Sequence[str]) -> int | None:
    """The place of a label in whatever form it was said: as a number, in other case, in
    quotes or with a full stop."""
    if isinstance(said, LiteralFloat):
        said = said.as_integer
    if isinstance(said, int) and not isinstance(said, bool):
        said = str(said)
    if not isinstance(said, str):
        return None
    if said in labels:
        return labels.index(said)
    bare = said.strip("\"'`*_.!\u201c\u201d \n")
    alike = [place for place, label in enumerate(labels) if same_name(bare, label)]
    return alike[0] if len(alike) == 1 else None


def guided_probabilities(
    field: str, text: str, steps: Sequence[TokenStep], labels: Sequence[str]
) -> list[float]:
    """How likely each label was where a guided reply was written, summing to 1.

    Follows the reply's tokens. Where candidates lead to different labels their
    probabilities are shared out anew among those that lead to any; what leads to several
    counts for each alike, and labels that no candidate leads to share what is left, at
    most as much as the least candidate has. Without log-probabilities the written label has all.
    """
    written = guided_label(field, text, labels)
    # Not always the text itself: llama.cpp cuts a fence off it that its tokens still have.
    told = "".join(step.token for step in steps)
    opening = re.search(r'\{\s*"[^"]*"\s*:\s*', told)
    before = told[: opening.end()] if opening else ""
    whole = [before + json.dumps(label, ensure_ascii=False) for label in labels]
    weights = [0.0] * len(labels)
    alive, mass, done = list(range(len(labels))), 1.0, ""
    for step in steps:
        branches = _branches(whole, alive, done, step)
        if not branches or len(alive) == 1:
            break
        staying = [i for i in alive if _is_prefix(whole[i], done + step.token)]
        for label, share in branches.items():
            if label not in staying:
                weights[label] += mass * share
        mass *= fsum(branches[i] for i in staying)
        alive, done = staying, done + step.token
    if not steps or not alive or written is None or not _is_prefix(whole[written], told):
        # None, or not of this text: of one that was fenced, spaced or escaped otherwise.
        return [float(i == written) for i in range(len(labels))]
    for i in alive:
        weights[i] += mass / len(alive)
    return normalized(weights)


def _branches(
    whole: Sequence[str], alive: list[int], done: str, step: TokenStep
) -> dict[int, float]:
    """Each living label's share of this token's candidates; sums to 1."""
    found = dict.fromkeys(alive, 0.0)
    for token, score in step.candidates:
        led = [i for i in alive if token and _is_prefix(whole[i], done + token)]
        for i in led:
            found[i] += exp(score) / len(led)
    rest = [i for i in alive if found[i] == 0.0]
    if len(rest) == len(alive):
        return {}
    told = [exp(score) for _, score in step.candidates]
    unseen = min(min(told), max(0.0, 1.0 - fsum(told)))
    for i in rest:
        found[i] = unseen / len(rest)
    total = fsum(found.values())
    return {i: weight / total for i, weight in found.items()}


def _is_prefix(whole: str, written: str) -> bool:
    """Whether one is the beginning of the other: a token may reach past the last quote."""
    return whole.startswith(written) or written.startswith(whole)
