"""Tables as documents: every cell whole, whatever parts them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from denizens.core import MemoryFault
from denizens.readers import read_blocks


def rows(folder: Path, text: str | bytes, name: str = "x.csv") -> list[str]:
    """The rows that are read of a file."""
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [block.text for block in read_blocks(file)]


PLAIN = "".join(f'"row {i}","sack {i} of oats"\n' for i in range(300))


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (f'"id","note"\n{PLAIN}"end","he said ""no, thanks"" twice"\n',
         'id: end; note: he said "no, thanks" twice'),
        ('id,note\n1,"two\nlines; and, more"\n', "id: 1; note: two\nlines; and, more"),
        ('id,note\n1,"he said \\"no, thanks\\""\n', 'id: 1; note: he said "no, thanks"'),
        ("id, note\n1, \"x, y\"\n", "id: 1; note: x, y"),
        ("name,phone\nAda,123,\nBo,456,,\n", "name: Bo; phone: 456"),
        ("name,phone,\nAda,123,west\n", "name: Ada; phone: 123; column 3: west"),
        ("name,phone,mail\nAda\n", "name: Ada"),
        ("sep=;\nname;phone\nAda;1,5\n", "name: Ada; phone: 1,5"),
        ("name;price\nrye;3,50\noats;2,10\nbarley;4,20\n", "name: barley; price: 4,20"),
        ("id;tags;cost\n1;['a'];5\n2;['b', 'c'];6\n3;['d'];7\n", "id: 3; tags: ['d']; cost: 7"),
        ("id|tags\n1|a,b\n2|c;d\n", "id: 2; tags: c;d"),
        ("id\ttags\n1\ta,b\n2\tc\n", "id: 2; tags: c"),
        ("note\nHello, world\nGood night, moon\n", "note: Good night, moon"),
        ("note\nnothing\n", "note: nothing"),
        ("Statement of May\n\ndate,amount\n2026-01-01,5\n", "date: 2026-01-01; amount: 5"),
        ("Stock\na,b\n1,2\n3,4\n", "a: 3; b: 4"),
        ("\n\na,b\n1,2\n", "a: 1; b: 2"),
        ("# made in May\n# by hand\na,b\n1,2\n", "a: 1; b: 2"),
    ],
)  # fmt: skip
def test_every_cell_is_whole(tmp_path: Path, text: str, last: str) -> None:
    """Doubled and escaped quotes, lines, lists and decimals in cells, empty cells, titles and
    other delimiters: the last row says what the file says."""
    assert rows(tmp_path, text)[-1] == last


def test_titles_are_remembered_too(tmp_path: Path) -> None:
    """Lines above the heading are blocks of their own, and rows keep their numbers."""
    (tmp_path / "x.csv").write_text("Stock of May\n\na,b\n1,2\n")
    found = [(block.text, block.first) for block in read_blocks(tmp_path / "x.csv") if block.text]
    assert found == [("Stock of May", 1), ("a: 1; b: 2", 4)]


@pytest.mark.parametrize("size", [3_000, 200_000])
def test_long_cells_are_not_cut(tmp_path: Path, size: int) -> None:
    """Also cells longer than the csv module takes by itself."""
    cell = "word " * (size // 5) + "zebra"
    assert rows(tmp_path, f"id,ticket\n1,{cell}\n") == [f"id: 1; ticket: {cell}"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_and_tabs(tmp_path: Path, encoding: str) -> None:
    """What Excel saves as Unicode text, and tabs in a .tsv whose cells hold commas."""
    assert rows(tmp_path, "naïve\tb\n1,5\t2\n".encode(encoding)) == ["naïve: 1,5; b: 2"]
    assert rows(tmp_path, "a\tb\n1,5\t\n", "x.tsv") == ["a: 1,5"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2,3\n", "row 2 has 3 cells, row 1 names 2; put cells that hold ','"),
        ('a,b\n"x', "no CSV file \\(line 2"),
        ('a,b\n"x"y,1\n', "no CSV file \\(line 2"),
        (b"a,b\ncaf\xe9,1\n", "UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    """Rows that do not fit, quotes that do not end and other encodings are named."""
    with pytest.raises(MemoryFault, match=rf"x\.csv: .*{words}"):
        rows(tmp_path, text)


@pytest.mark.parametrize("shape", [",", '""', "a;b|c,", "\n", "a,b\n"])
def test_hostile_tables_end_soon(tmp_path: Path, shape: str) -> None:
    """A quarter of a megabyte of delimiters, quotes or rows is read or refused in linear time."""
    begun = time.process_time()
    with contextlib.suppress(MemoryFault):
        rows(tmp_path, shape * (250_000 // len(shape)))
    assert time.process_time() - begun < 10
