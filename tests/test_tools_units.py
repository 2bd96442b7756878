"""The calculator with units: exact, and bounded whatever it is given."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from denizens.tools import units
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("expression", "value", "unit"),
    [
        ("12 km / 3 h in m/s", 10 / 9, "m/s"),
        ("12 km / 3 h", 4, "km/h"),
        ("5 ft 3 in to cm", 160.02, "cm"),
        ("3 in + 2 in in cm", 12.7, "cm"),
        ("5 ft in in", 60, "in"),
        ("20 degC in degF", 68, "°F"),
        ("20 C in F", 68, "°F"),
        ("-40 °F to °C", -40, "°C"),
        ("300 K in C", 26.85, "°C"),
        ("60 miles per hour in km/h", 96.56064, "km/h"),
        ("1/2 cup in ml", 118.29411825, "ml"),
        ("3 min 20 s in s", 200, "s"),
        ("9.81 m/s^2 * 70 kg in N", 686.7, "N"),
        ("5 kg m / s^2 in N", 5, "N"),
        ("2 m * 30 cm in m**2", 0.6, "m^2"),
        ("(2 m + 30 cm) / 2 s", 1.15, "m/s"),
        ("1 light_year in km", 9460730472580.8, "km"),
        ("180 ° in rad", 3.141592653589793, "rad"),
        ("1 GB -> MB", 1000, "MB"),
        ("50 %", 0.5, ""),
        ("3 + 4 * 2 - -1", 12, ""),
        ("2^10", 1024, ""),
    ],
)
def test_units(expression: str, value: float, unit: str) -> None:
    """Expressions and conversions as people write them give what a table of units says."""
    found = units(expression)
    assert found["unit"] == unit
    assert found["value"] == pytest.approx(value, rel=1e-15)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**6))
def test_it_is_exact(whole: int, part: int) -> None:
    """A number of miles to metres and back is the same number, to the last digit of a
    fraction."""
    text = f"{whole}.{part:06}"
    metres = Fraction(text) * Fraction(201168, 125)
    assert units(f"{text} mile in m")["value"] == pytest.approx(float(metres), rel=1e-15)
    assert units(f"{text} mile * 125 - {text} mile * 125")["value"] == 0


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("3 km + 2 kg", "do not fit"),
        ("4 km in hours", "do not fit"),
        ("20 degC + 5 degC", "only converted"),
        ("10 apples", "not a unit"),
        ("10 kilometrs", "did you mean 'kilometer'"),
        ("1 / 0", "division by zero"),
        ("1 / (3 km - 3 km)", "division by zero"),
        ("", "missing"),
        ("3 km *", "missing before 'the end'"),
        ("(3 km", "not closed"),
        ("3 km)", "out of place"),
        ("9^9^9", "out of place"),
        ("2^99", "up to 20"),
        ("2^0.5", "whole number"),
        ("(1e300 m)^20", "too large"),
        ("1e300 * 1e300 * 1e300 * 1e300 * 1e300 * 1e300", "too large"),
        ("(" * 60 + "1" + ")" * 60, "nested"),
        ("-" * 150 + "1", "signs"),
        ("1 " * 150, "more than 200"),
        ("__import__('os').system('id')", "not understood"),
        ("().__class__", "missing|not understood"),
        ("5 € in $", "not understood"),
        ("3 km in 2 m", "do not fit"),
    ],
)
def test_what_cannot_be_worked_out_is_told(expression: str, words: str) -> None:
    """A wrong expression gets an error that says what is wrong with it, and at once."""
    begun = time.monotonic()
    with pytest.raises(ValueError, match=words):
        units(expression)
    assert time.monotonic() - begun < 2


@given(st.text(alphabet="0123456789.eE+-*/^() kmsgh°%in\t", max_size=60) | st.text(max_size=60))
def test_any_text_is_worked_out_or_refused(text: str) -> None:
    """Whatever is written, it gives a measure or a ValueError, nothing else."""
    try:
        found = units(text)
    except ValueError:
        return
    assert set(found) == {"value", "unit"}


@pytest.mark.parametrize("sign", ["½", "²", "Ⅷ"])
def test_odd_signs_are_told(sign: str) -> None:
    """A letter-like sign that is no unit is named in the complaint, whatever pint makes of it."""
    with pytest.raises(ValueError, match=sign):
        units(f"{sign} cup in ml")
