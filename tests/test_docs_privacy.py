"""docs/privacy.md: every Python block is a program that prints what the page says it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "privacy.md"
BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_prints_what_it_says(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The comments at the end of a block are what it printed."""
    block = BLOCKS[number]
    exec(compile(block, f"privacy.md, block {number}", "exec"), {"__name__": "privacy_md"})
    said = re.findall(r"(?m)^# (.*)$", block)
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert said
    assert printed == [line.strip() for line in said]


def test_the_page_has_its_programs() -> None:
    """One for each thing that is explained by code."""
    assert len(BLOCKS) == 4
