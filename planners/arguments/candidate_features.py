"""What speaks for a candidate: each sign as a number, all of them about its place in the
request, the field's own words, and what the two models say."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ...core import Json, ToolSpec, identifier_to_words
from .argument_fields import ArgumentField, has_example
from .number_parser import UNITS
from .text_spans import FUNCTION_WORDS
from .value_candidates import ArgumentCandidate, ParsedRequest, find_mention, units_of

Features: TypeAlias = dict[str, float]
TextSimilarity: TypeAlias = Callable[[str, str], float]
"""Cosine of two texts."""

FIELD_GROUPS = ("number", "text", "choice", "flag", "list")
LOG_PROBABILITY_FLOOR = -12.0  # of a log-probability: how improbable does not matter below


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_START_WORDS = _set("from start starting begin initial origin source departure lower first")
_END_WORDS = _set("to end ending final destination target arrival upper last finish")
_PRICE_WORDS = _set(
    "price cost amount budget money dollar dollars fee salary income principal deposit investment "
    "value payment worth balance revenue"
)
_RATE_WORDS = _set("rate percent percentage yield growth interest share discount tax")
_CODE_WORDS = _set("id number code docket identifier key parcel ref reference serial")
_NEGATION = re.compile(
    r"\b(no|not|don't|do not|without|never|exclude|excluding|avoid|except)\b", re.I
)


def stem(word: str) -> str:
    """A word without its ending, for comparing.

    >>> stem("Locations") == stem("location"), stem("rounding") == stem("rounded")
    (True, True)
    """
    word = word.lower()
    for tail in ("ings", "ing", "edly", "ed", "ies", "es", "s", "ly", "e", "y"):
        if word.endswith(tail) and len(word) - len(tail) >= 3:
            return word[: -len(tail)]
    return word


def stems(text: str) -> set[str]:
    """The stems of a text's words that mean something alone."""
    words = re.findall(r"[A-Za-z]+|\d+", text)
    return {stem(word) for word in words if word.lower() not in FUNCTION_WORDS}


class FeatureExtractor:
    """The signs of a tool's fields in one request."""

    def __init__(
        self, spec: ToolSpec, fields: Sequence[ArgumentField], reading: ParsedRequest
    ) -> None:
        self.reading = reading
        self.fields = fields
        self._tool = stems(f"{identifier_to_words(spec.name)} {spec.description}")
        self._asked = stems(reading.text)
        self._names = {one.path: stems(one.label) for one in fields}
        self._abouts = {one.path: stems(one.description) | self._names[one.path] for one in fields}
        # A word that several fields have tells none of them.
        count: dict[str, int] = {}
        for words in self._abouts.values():
            for word in words:
                count[word] = count.get(word, 0) + 1
        self._own = {
            path: {word for word in words if count[word] == 1 or len(fields) == 1}
            for path, words in self._abouts.items()
        }
        self._free = [one.path for one in fields if field_group(one) == "text"]
        self._numeric = [one.path for one in fields if one.kind in ("integer", "number")]

    def texts_to_embed(self, one: ArgumentField, offered: Sequence[ArgumentCandidate]) -> list[str]:
        """What must be embedded for a field's signs."""
        found = [one.text, self.reading.text]
        for candidate in offered:
            found += [candidate.label, self.window(candidate)]
        return found

    def window(self, candidate: ArgumentCandidate) -> str:
        """The words around a candidate; of one that is nowhere, the candidate."""
        if candidate.start < 0:
            return candidate.label
        return self.reading.window(candidate.start, candidate.end)

    def extract(
        self,
        one: ArgumentField,
        offered: Sequence[ArgumentCandidate],
        near: TextSimilarity,
        told: Mapping[str, float],
    ) -> list[Features]:
        """Of each candidate; ``told`` are the language model's log-probabilities by label."""
        best = max(told.values(), default=0.0)
        found = []
        for candidate in offered:
            own = self._common_features(one, candidate, near)
            own["told"] = (
                max(LOG_PROBABILITY_FLOOR, told.get(candidate.label, LOG_PROBABILITY_FLOOR) - best)
                / 4
            )
            match field_group(one):
                case "number":
                    own |= self._number_features(one, candidate)
                case "text":
                    own |= self._text_features(one, candidate)
                case "choice":
                    own |= self._choice_features(one, candidate, near)
                case "flag":
                    own |= self._flag_features(one, candidate, near)
                case _:
                    own |= self._list_features(one, candidate, offered)
            found.append(own)
        return found

    def _common_features(
        self, one: ArgumentField, candidate: ArgumentCandidate, near: TextSimilarity
    ) -> Features:
        """Signs of every kind of candidate."""
        found = {
            "window": 3 * near(one.text, self.window(candidate)),
            "like": 3 * near(one.text, candidate.label),
            "default": float(one.default is not None and one.default == candidate.value),
            "optional": float(not one.required),
            "defaulted": float(not one.required and one.default is not None),
        }
        if candidate.start < 0:
            return found | {"nowhere": 1.0}
        before, after = self.reading.around(candidate.start, candidate.end, 4, 3)
        name, own = self._names[one.path], self._own[one.path]
        lefts, rights = [stem(word) for word in reversed(before)], [stem(word) for word in after]
        found["name_before"] = max((1 - i / 4 for i, w in enumerate(lefts) if w in name), default=0)
        found["name_after"] = max((1 - i / 3 for i, w in enumerate(rights) if w in name), default=0)
        found["own_before"] = max((1 - i / 4 for i, w in enumerate(lefts) if w in own), default=0)
        found["own_after"] = max((1 - i / 3 for i, w in enumerate(rights) if w in own), default=0)
        found["equals"] = float(self._is_assigned(one, candidate))
        place = before[-1].lower() if before else ""
        told = set(re.findall(r"[a-z]+", f"{one.label} {one.description}".lower()))
        begins, ends = bool(told & _START_WORDS), bool(told & _END_WORDS)
        if begins != ends:
            found["way"] = float(
                place in ("from", "between") if begins else place in ("to", "until")
            )
            found["wrong_way"] = float(place == "to" if begins else place in ("from", "between"))
        return found

    def _is_assigned(self, one: ArgumentField, candidate: ArgumentCandidate) -> bool:
        """Whether the request writes "name = value" or "name: value" there."""
        words = r"[\s_-]*".join(map(re.escape, one.label.split()))
        before = self.reading.text[: candidate.start]
        return bool(re.search(rf"(?<!\w){words}(?: is| of)?\s*[=:]?\s*[\[('\"$]?$", before, re.I))

    def _number_features(self, one: ArgumentField, candidate: ArgumentCandidate) -> Features:
        number, told = candidate.number, self._abouts[one.path]
        if number is None:
            return {}
        places = [n.start for n in self.reading.numbers]
        order = bisect_left(places, number.start) / max(1, len(places) - 1)
        mine = self._numeric.index(one.path) if one.path in self._numeric else 0
        rank = mine / max(1, len(self._numeric) - 1)
        words = set(re.findall(r"[a-z]+|%", f"{one.label} {one.description}".lower()))
        unit = stem(number.unit)
        spelled = self.reading.text[number.start : number.start + 1].isalpha()
        known = UNITS.get(number.unit)
        kinds = {UNITS[name][0] for name in units_of(one)}
        year = 1900 <= number.value <= 2100 and number.is_whole and not number.unit
        rated = bool(words & _RATE_WORDS) or "%" in words
        return {
            "unit": float(bool(unit) and unit in told),
            "counts": float(spelled and unit in self._tool),
            "counts_plain": float(not spelled and bool(unit) and unit in self._tool),
            "spelled": float(spelled),
            "counts_fields": float(spelled and number.value == self._numbered_siblings(one)),
            "unit_kind": float(known is not None and known[0] in kinds),
            "unit_wrong": float(known is not None and bool(kinds) and known[0] not in kinds),
            "order": -abs(order - rank),
            "year": float(year and "year" in words),
            "not_year": float(year and "year" not in words),
            "no_year": float("year" in words and not year and not number.unit),
            "money": float(number.is_money and bool(words & _PRICE_WORDS)),
            "not_money": float(number.is_money and not words & _PRICE_WORDS),
            "share": float(number.unit == "%" and rated),
            "not_share": float(number.unit == "%" and not rated),
            "no_share": float(rated and number.unit != "%"),
            "frequency": float(number.is_frequency),
            "often": float(number.is_frequency and bool({"times", "frequency", "periods"} & words)),
            "broken": float(not number.is_whole and one.kind == "number"),
            "alone": float(len(places) == 1 and len(self._numeric) == 1),
            "spare": min(2, len(places) - sum(one.required for one in self._numeric_fields())) / 2,
        }

    def _numbered_siblings(self, one: ArgumentField) -> int:
        """How many fields have this one's name but for its figure: number1 and number2."""
        base = one.name.rstrip("0123456789_")
        return sum(other.name.rstrip("0123456789_") == base for other in self.fields)

    def _numeric_fields(self) -> list[ArgumentField]:
        return [one for one in self.fields if one.path in self._numeric]

    def _text_features(self, one: ArgumentField, candidate: ArgumentCandidate) -> Features:
        label, words = candidate.label, stems(candidate.label)
        before, after = self.reading.around(candidate.start, candidate.end, 1, 1)
        text = self.reading.text
        left = text[: candidate.start].rstrip()
        apart = left[-1:] in ("", ",", ".", ":", "?", "!", ";", "'", '"', "(")
        right = text[candidate.end :].lstrip()[:1]
        name = self._names[one.path]
        count = len(label.split())
        formed = is_comma_pair(one)
        return {
            candidate.kind: 1.0,
            "hint_here": float(candidate.kind == "hint" and candidate.start >= 0),
            "hint_example": float(
                candidate.kind == "hint" and candidate.start < 0 and has_example(one.description)
            ),
            "holds_about": len(words & self._abouts[one.path]) / max(1, len(words)),
            "left": float(apart or (bool(before) and before[-1].lower() in FUNCTION_WORDS)),
            "right": float(right in ("", ",", ".", "?", "!", ";", "'", '"', ")", "`"))
            or float(bool(after) and after[0].lower() in FUNCTION_WORDS),
            "words": min(count, 8) / 4,
            "one_word": float(count == 1),
            "inner": sum(w.lower() in FUNCTION_WORDS for w in label.split()) / 2,
            "holds_name": len(words & name) / max(1, len(words)),
            "holds_tool": len(words & self._tool) / max(1, len(words)),
            "first": float(candidate.start == 0),
            "digits": float(any(sign.isdigit() for sign in label)),
            "code": float(
                any(s.isdigit() for s in label) and bool(name & {stem(w) for w in _CODE_WORDS})
            ),
            "comma": float("," in label),
            "comma_wanted": float("," in label and formed),
            "comma_lacking": float("," not in label and formed),
            "equation": float("=" in label),
            "date_wanted": float(candidate.kind == "date" and is_date_field(one)),
            "order": self._order_mismatch(one, candidate),
            "capital": float(label[:1].isupper() and candidate.start > 0),
            "in": float(bool(before) and before[-1].lower() in ("in", "at", "near")),
            "in_place": float(
                bool(before)
                and before[-1].lower() in ("in", "at", "near", "of", "for")
                and bool(
                    name & {stem(w) for w in ("location", "city", "place", "country", "state")}
                )
            ),
        }

    def _order_mismatch(self, one: ArgumentField, candidate: ArgumentCandidate) -> float:
        """How far a text's place in the request is from its field's among those of texts."""
        if len(self._free) < 2 or candidate.start < 0:
            return 0.0
        rank = self._free.index(one.path) / (len(self._free) - 1)
        return -abs(candidate.start / max(1, len(self.reading.text)) - rank)

    def _choice_features(
        self, one: ArgumentField, candidate: ArgumentCandidate, near: TextSimilarity
    ) -> Features:
        label, asked = candidate.label, self._asked
        words = stems(identifier_to_words(label))
        return {
            "literal": float(candidate.start >= 0),
            "partly": len(words & asked) / max(1, len(words)),
            "asked": 3 * near(self.reading.text, label),
            "of_tool": len(words & self._tool) / max(1, len(words)),
            "many": float(isinstance(candidate.value, list) and len(candidate.value) > 1),
        }

    def _flag_features(
        self, one: ArgumentField, candidate: ArgumentCandidate, near: TextSimilarity
    ) -> Features:
        name = self._names[one.path] - {stem(w) for w in ("include", "is", "flag", "with", "show")}
        heard = len(name & self._asked) / max(1, len(name))
        own = self._own[one.path] & self._asked
        value, default = candidate.value is True, one.default
        asked = near(self.reading.text, one.text)
        denied = False
        for word in re.finditer(r"[A-Za-z]+", self.reading.text):
            if stem(word.group()) in (name or own):
                denied |= bool(
                    _NEGATION.search(self.reading.text[max(0, word.start() - 24) : word.start()])
                )
        like_default = str(default).lower() == str(value).lower()
        side = 1.0 if value != denied else -1.0
        return {
            "heard": heard * side,
            "heard_own": min(2, len(own)) / 2 * side,
            "asked": 3 * asked * side,
            "true": float(value),
            "like_default": float(default is not None and like_default),
            "unlike_default": float(default is not None and not like_default) * (heard > 0),
        }

    def _list_features(
        self, one: ArgumentField, candidate: ArgumentCandidate, offered: Sequence[ArgumentCandidate]
    ) -> Features:
        values: Json = candidate.value
        size = len(values) if isinstance(values, list) else 1
        found = {f"list_{candidate.kind}": 1.0, "size": min(size, 6) / 3, "many": float(size > 1)}
        if isinstance(values, list) and values and isinstance(values[0], str):
            found["literal"] = float(find_mention(values[0], self.reading.text) is not None)
            words = stems(candidate.label)
            found["holds_name"] = len(words & self._names[one.path]) / max(1, len(words))
            found["holds_tool"] = len(words & self._tool) / max(1, len(words))
            found["item_words"] = max(len(str(one).split()) for one in values) / 3
            found["capital"] = float(all(str(value)[:1].isupper() for value in values))
            found["first"] = float(candidate.start == 0)
            texts = [str(value) for value in values]
            found["inner"] = float(any(set(t.lower().split()) & FUNCTION_WORDS for t in texts))
            found["uneven"] = float(len({t[:1].isupper() for t in texts}) > 1)
            lengths = [len(t.split()) for t in texts]
            found["uneven_words"] = (max(lengths) - min(lengths)) / 3
        elif isinstance(values, list):
            earlier = [f for f in self.fields if f.kind == "array"]
            rows = len(earlier) or 1
            place = earlier.index(one) if one in earlier else 0
            starts = sorted({c.start for c in offered if c.kind in ("literal", "row")})
            if len(starts) > 1 and rows > 1 and candidate.start in starts:
                rank = starts.index(candidate.start) / (len(starts) - 1)
                found["order"] = -abs(rank - place / (rows - 1))
        return found


def is_comma_pair(one: ArgumentField) -> bool:
    """Whether a field's description shows a text of two parts with a comma between, such as
    "City, State" or 'Berkeley, CA'."""
    runs = re.findall(r"[A-Z]\w*(?: [A-Z]\w*)*(?:, [A-Z]\w*(?: [A-Z]\w*)*)+", one.description)
    return any(run.count(",") == 1 for run in runs)


def is_date_field(one: ArgumentField) -> bool:
    """Whether a field is a day: its name or its description says so."""
    told = f"{one.label} {one.description} {one.schema.get('format', '')}"
    return bool(re.search(r"\b(date|day|birth\w*|[YMD]{2,4}[-/][YMD]{2,4}\S*)\b", told, re.I))


def field_group(one: ArgumentField) -> str:
    """Which weights a field's candidates are scored by."""
    if one.kind == "boolean":
        return "flag"
    if one.choices:
        return "choice"
    if one.kind == "array":
        return "list"
    if one.kind in ("integer", "number"):
        return "number"
    return "text"
