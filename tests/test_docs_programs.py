"""The Python of the README and of docs/ runs as it is printed, and prints what is shown."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.stem != "log")]
BLOCK = re.compile(
    r"(?ms)^(?P<needs><!-- needs [^\n]* -->\n)?```python\n(?P<code>.*?)^```\n"
    r"(?:\s*(?:[^\n`]*:\n+)?```text\n(?P<shown>.*?)^```$)?"
)
RUNNER = """
import contextlib, io, json, sys
printed = []
for number, code in enumerate(json.load(sys.stdin)):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, f"block {number + 1}", "exec"), {"__name__": "__main__"})
    printed.append(output.getvalue())
print(json.dumps(printed))
"""


def blocks(page: Path) -> list[re.Match[str]]:
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


def has_programs(page: Path) -> bool:
    return any(not block["needs"] for block in blocks(page))


@pytest.mark.real
@pytest.mark.parametrize("page", [p for p in PAGES if has_programs(p)], ids=lambda page: page.stem)
def test_programs_run_and_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    """Each block is a whole program; its output is the text block behind it, where ``...``
    stands for anything."""
    programs = [block for block in blocks(page) if not block["needs"]]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps([block["code"] for block in programs]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        # A page may start "python server.py": it is to be this one.
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    checker = doctest.OutputChecker()
    for block, printed in zip(programs, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert block["shown"] is not None, f"shows no output:\n{block['code']}"
        assert checker.check_output(block["shown"], printed, doctest.ELLIPSIS), printed


def test_every_block_is_python() -> None:
    """Blocks that need something that is not here (a server, a file of one's own) say what,
    and compile."""
    count = 0
    for page in PAGES:
        for block in blocks(page):
            compile(block["code"], page.name, "exec")
            count += 1
        assert len(blocks(page)) == page.read_text(encoding="utf-8").count("```python")
    assert count > 20
