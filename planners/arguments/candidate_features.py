"""Features of argument candidates: their position in the request, words shared with the field
and the tool, embedding similarity, and the likelihood under the language model.

The names of the features are the keys of ``feature_weights.json``.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ...core import Json, ToolSpec, identifier_to_words
from ..text import word_set
from .argument_fields import ArgumentField, has_example
from .number_parser import UNITS
from .text_spans import FUNCTION_WORDS
from .value_candidates import ArgumentCandidate, ParsedRequest, find_mention, units_of

Features: TypeAlias = dict[str, float]
Fields: TypeAlias = Sequence[ArgumentField]
Candidates: TypeAlias = Sequence[ArgumentCandidate]
TextSimilarity: TypeAlias = Callable[[str, str], float]
"""Cosine similarity of two texts."""

FIELD_GROUPS = ("number", "text", "choice", "flag", "list")
LOG_PROBABILITY_FLOOR = -12.0  # relative to the best candidate; lower values are cut


def stem(word: str) -> str:
    """A word in lower case without its ending. The weights are fitted to these stems.

    >>> stem("Locations") == stem("location"), stem("rounding") == stem("rounded")
    (True, True)
    """
    word = word.lower()
    for ending in ("ings", "ing", "edly", "ed", "ies", "es", "s", "ly", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> set[str]:
    """The stems of the words of a text that are no function words."""
    words = re.findall(r"[A-Za-z]+|\d+", text)
    return {stem(word) for word in words if word.lower() not in FUNCTION_WORDS}


_START_WORDS = word_set("from start starting begin initial origin source departure lower first")
_END_WORDS = word_set("to end ending final destination target arrival upper last finish")
_PRICE_WORDS = word_set(
    "price cost amount budget money dollar dollars fee salary income principal deposit investment "
    "value payment worth balance revenue"
)
_RATE_WORDS = word_set("rate percent percentage yield growth interest share discount tax")
_CODE_STEMS = stems("id number code docket identifier key parcel ref reference serial")
_PLACE_STEMS = stems("location city place country state")
_FLAG_STEMS = {stem(word) for word in ("include", "is", "flag", "with", "show")}
_NEGATION = re.compile(
    r"\b(no|not|don't|do not|without|never|exclude|excluding|avoid|except)\b", re.I
)


def _share(words: set[str], others: set[str]) -> float:
    return len(words & others) / max(1, len(words))


class FeatureExtractor:
    """Computes the features of the candidates of a tool's fields in one request."""

    def __init__(self, spec: ToolSpec, fields: Fields, parsed: ParsedRequest) -> None:
        self.parsed = parsed
        self.fields = fields
        self._tool = stems(f"{identifier_to_words(spec.name)} {spec.description}")
        self._request = stems(parsed.text)
        self._names = {field.path: stems(field.label) for field in fields}
        self._described = {
            field.path: stems(field.description) | self._names[field.path] for field in fields
        }
        # Words that belong to one field only; with a single field, all of its words.
        count = Counter(word for words in self._described.values() for word in words)
        self._own = {
            path: {word for word in words if count[word] == 1 or len(fields) == 1}
            for path, words in self._described.items()
        }
        self._texts = [field.path for field in fields if field_group(field) == "text"]
        self._numeric = [field for field in fields if field.kind in ("integer", "number")]

    def texts_to_embed(self, field: ArgumentField, candidates: Candidates) -> list[str]:
        """The texts whose similarity is a feature of the field's candidates."""
        texts = [field.text, self.parsed.text]
        for candidate in candidates:
            texts += [candidate.label, self.window(candidate)]
        return texts

    def window(self, candidate: ArgumentCandidate) -> str:
        """The words around a candidate; its label if it does not occur in the request."""
        if candidate.start < 0:
            return candidate.label
        return self.parsed.window(candidate.start, candidate.end)

    def extract(
        self,
        field: ArgumentField,
        candidates: Candidates,
        similarity: TextSimilarity,
        log_probabilities: Mapping[str, float],
    ) -> list[Features]:
        """The features of each candidate; ``log_probabilities`` by label, of the language model."""
        best = max(log_probabilities.values(), default=0.0)
        rows = []
        for candidate in candidates:
            features = self._common_features(field, candidate, similarity)
            log_probability = log_probabilities.get(candidate.label, LOG_PROBABILITY_FLOOR)
            features["told"] = max(LOG_PROBABILITY_FLOOR, log_probability - best) / 4
            match field_group(field):
                case "number":
                    features |= self._number_features(field, candidate)
                case "text":
                    features |= self._text_features(field, candidate)
                case "choice":
                    features |= self._choice_features(candidate, similarity)
                case "flag":
                    features |= self._flag_features(field, candidate, similarity)
                case _:
                    features |= self._list_features(field, candidate, candidates)
            rows.append(features)
        return rows

    def _common_features(
        self, field: ArgumentField, candidate: ArgumentCandidate, similarity: TextSimilarity
    ) -> Features:
        features = {
            "window": 3 * similarity(field.text, self.window(candidate)),
            "like": 3 * similarity(field.text, candidate.label),
            "default": float(field.default is not None and field.default == candidate.value),
            "optional": float(not field.required),
            "defaulted": float(not field.required and field.default is not None),
        }
        if candidate.start < 0:
            return features | {"nowhere": 1.0}
        before, after = self.parsed.around(candidate.start, candidate.end, 4, 3)
        lefts, rights = [stem(word) for word in reversed(before)], [stem(word) for word in after]
        for name, words in (("name", self._names[field.path]), ("own", self._own[field.path])):
            for side, near, size in (("before", lefts, 4), ("after", rights, 3)):
                # Nearer words count more.
                shares = (1 - i / size for i, word in enumerate(near) if word in words)
                features[f"{name}_{side}"] = max(shares, default=0)
        features["equals"] = float(self._is_assigned(field, candidate))
        previous = before[-1].lower() if before else ""
        described = set(re.findall(r"[a-z]+", f"{field.label} {field.description}".lower()))
        is_start, is_end = bool(described & _START_WORDS), bool(described & _END_WORDS)
        if is_start != is_end:
            expected = ("from", "between") if is_start else ("to", "until")
            opposite = ("to",) if is_start else ("from", "between")
            features["way"] = float(previous in expected)
            features["wrong_way"] = float(previous in opposite)
        return features

    def _is_assigned(self, field: ArgumentField, candidate: ArgumentCandidate) -> bool:
        words = r"[\s_-]*".join(map(re.escape, field.label.split()))
        before = self.parsed.text[: candidate.start]
        return bool(re.search(rf"(?<!\w){words}(?: is| of)?\s*[=:]?\s*[\[('\"$]?$", before, re.I))

    def _number_features(self, field: ArgumentField, candidate: ArgumentCandidate) -> Features:
        number = candidate.number
        if number is None:
            return {}
        starts = [other.start for other in self.parsed.numbers]
        position = bisect_left(starts, number.start) / max(1, len(starts) - 1)
        index = self._numeric.index(field) if field in self._numeric else 0
        rank = index / max(1, len(self._numeric) - 1)
        words = set(re.findall(r"[a-z]+|%", f"{field.label} {field.description}".lower()))
        unit = stem(number.unit)
        spelled = self.parsed.text[number.start : number.start + 1].isalpha()
        kind = UNITS[number.unit][0] if number.unit in UNITS else ""
        kinds = {UNITS[name][0] for name in units_of(field)}
        year = 1900 <= number.value <= 2100 and number.is_whole and not number.unit
        is_rate = bool(words & _RATE_WORDS) or "%" in words
        required = sum(other.required for other in self._numeric)
        return {
            "unit": float(bool(unit) and unit in self._described[field.path]),
            "counts": float(spelled and unit in self._tool),
            "counts_plain": float(not spelled and bool(unit) and unit in self._tool),
            "spelled": float(spelled),
            "counts_fields": float(spelled and number.value == self._numbered_siblings(field)),
            "unit_kind": float(bool(kind) and kind in kinds),
            "unit_wrong": float(bool(kind) and bool(kinds) and kind not in kinds),
            "order": -abs(position - rank),
            "year": float(year and "year" in words),
            "not_year": float(year and "year" not in words),
            "no_year": float("year" in words and not year and not number.unit),
            "money": float(number.is_money and bool(words & _PRICE_WORDS)),
            "not_money": float(number.is_money and not words & _PRICE_WORDS),
            "share": float(number.unit == "%" and is_rate),
            "not_share": float(number.unit == "%" and not is_rate),
            "no_share": float(is_rate and number.unit != "%"),
            "frequency": float(number.is_frequency),
            "often": float(number.is_frequency and bool({"times", "frequency", "periods"} & words)),
            "broken": float(not number.is_whole and field.kind == "number"),
            "alone": float(len(starts) == 1 and len(self._numeric) == 1),
            "spare": min(2, len(starts) - required) / 2,
        }

    def _numbered_siblings(self, field: ArgumentField) -> int:
        """How many fields differ from this one only in a number: number1 and number2."""
        base = field.name.rstrip("0123456789_")
        return sum(other.name.rstrip("0123456789_") == base for other in self.fields)

    def _text_features(self, field: ArgumentField, candidate: ArgumentCandidate) -> Features:
        label, words = candidate.label, stems(candidate.label)
        before, after = self.parsed.around(candidate.start, candidate.end, 1, 1)
        previous, following = "".join(before).lower(), "".join(after).lower()
        left = self.parsed.text[: candidate.start].rstrip()[-1:]
        right = self.parsed.text[candidate.end :].lstrip()[:1]
        is_hint, in_request = candidate.kind == "hint", candidate.start >= 0
        name, has_digits = self._names[field.path], any(sign.isdigit() for sign in label)
        count, is_pair = len(label.split()), is_comma_pair(field)
        return {
            candidate.kind: 1.0,
            "hint_here": float(is_hint and in_request),
            "hint_example": float(is_hint and not in_request and has_example(field.description)),
            "holds_about": _share(words, self._described[field.path]),
            "left": float(left in ("", *",.:?!;'\"(") or previous in FUNCTION_WORDS),
            "right": float(right in ("", *",.?!;'\")`") or following in FUNCTION_WORDS),
            "words": min(count, 8) / 4,
            "one_word": float(count == 1),
            "inner": sum(word.lower() in FUNCTION_WORDS for word in label.split()) / 2,
            "holds_name": _share(words, name),
            "holds_tool": _share(words, self._tool),
            "first": float(candidate.start == 0),
            "digits": float(has_digits),
            "code": float(has_digits and bool(name & _CODE_STEMS)),
            "comma": float("," in label),
            "comma_wanted": float("," in label and is_pair),
            "comma_lacking": float("," not in label and is_pair),
            "equation": float("=" in label),
            "date_wanted": float(candidate.kind == "date" and is_date_field(field)),
            "order": self._order_mismatch(field, candidate),
            "capital": float(label[:1].isupper() and candidate.start > 0),
            "in": float(previous in ("in", "at", "near")),
            "in_place": float(
                previous in ("in", "at", "near", "of", "for") and bool(name & _PLACE_STEMS)
            ),
        }

    def _order_mismatch(self, field: ArgumentField, candidate: ArgumentCandidate) -> float:
        """Minus the distance between a text's position in the request and its field's position
        among the fields of texts, both from 0 to 1."""
        if len(self._texts) < 2 or candidate.start < 0:
            return 0.0
        rank = self._texts.index(field.path) / (len(self._texts) - 1)
        return -abs(candidate.start / max(1, len(self.parsed.text)) - rank)

    def _choice_features(
        self, candidate: ArgumentCandidate, similarity: TextSimilarity
    ) -> Features:
        words = stems(identifier_to_words(candidate.label))
        return {
            "literal": float(candidate.start >= 0),
            "partly": _share(words, self._request),
            "asked": 3 * similarity(self.parsed.text, candidate.label),
            "of_tool": _share(words, self._tool),
            "many": float(isinstance(candidate.value, list) and len(candidate.value) > 1),
        }

    def _flag_features(
        self, field: ArgumentField, candidate: ArgumentCandidate, similarity: TextSimilarity
    ) -> Features:
        text, name = self.parsed.text, self._names[field.path] - _FLAG_STEMS
        mentioned, own = _share(name, self._request), self._own[field.path] & self._request
        value, default = candidate.value is True, field.default
        negated = any(
            _NEGATION.search(text[max(0, word.start() - 24) : word.start()])
            for word in re.finditer(r"[A-Za-z]+", text)
            if stem(word[0]) in (name or own)
        )
        like_default = str(default).lower() == str(value).lower()
        side = 1.0 if value != negated else -1.0
        return {
            "heard": mentioned * side,
            "heard_own": min(2, len(own)) / 2 * side,
            "asked": 3 * similarity(text, field.text) * side,
            "true": float(value),
            "like_default": float(default is not None and like_default),
            "unlike_default": float(default is not None and not like_default) * (mentioned > 0),
        }

    def _list_features(
        self, field: ArgumentField, candidate: ArgumentCandidate, candidates: Candidates
    ) -> Features:
        values: Json = candidate.value
        size = len(values) if isinstance(values, list) else 1
        features = {
            f"list_{candidate.kind}": 1.0,
            "size": min(size, 6) / 3,
            "many": float(size > 1),
        }
        if isinstance(values, list) and values and isinstance(values[0], str):
            texts, words = [str(value) for value in values], stems(candidate.label)
            lengths = [len(text.split()) for text in texts]
            capitals = {text[:1].isupper() for text in texts}
            features |= {
                "literal": float(find_mention(values[0], self.parsed.text) is not None),
                "holds_name": _share(words, self._names[field.path]),
                "holds_tool": _share(words, self._tool),
                "item_words": max(lengths) / 3,
                "capital": float(capitals == {True}),
                "first": float(candidate.start == 0),
                "inner": float(any(set(t.lower().split()) & FUNCTION_WORDS for t in texts)),
                "uneven": float(len(capitals) > 1),
                "uneven_words": (max(lengths) - min(lengths)) / 3,
            }
        elif isinstance(values, list):
            arrays = [other for other in self.fields if other.kind == "array"]
            index = arrays.index(field) if field in arrays else 0
            starts = sorted({c.start for c in candidates if c.kind in ("literal", "row")})
            if len(starts) > 1 and len(arrays) > 1 and candidate.start in starts:
                rank = starts.index(candidate.start) / (len(starts) - 1)
                features["order"] = -abs(rank - index / (len(arrays) - 1))
        return features


def is_comma_pair(field: ArgumentField) -> bool:
    """Whether the description shows a text of two parts, such as "City, State"."""
    runs = re.findall(r"[A-Z]\w*(?: [A-Z]\w*)*(?:, [A-Z]\w*(?: [A-Z]\w*)*)+", field.description)
    return any(run.count(",") == 1 for run in runs)


def is_date_field(field: ArgumentField) -> bool:
    """Whether the name or the description shows that the value is a date."""
    text = f"{field.label} {field.description} {field.schema.get('format', '')}"
    return bool(re.search(r"\b(date|day|birth\w*|[YMD]{2,4}[-/][YMD]{2,4}\S*)\b", text, re.I))


def field_group(field: ArgumentField) -> str:
    """The group of weights that scores the field's candidates."""
    if field.kind == "boolean":
        return "flag"
    if field.choices:
        return "choice"
    return {"array": "list", "integer": "number", "number": "number"}.get(field.kind, "text")
