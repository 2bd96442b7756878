"""Notes: short texts that a mind writes down under a name, and finds again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias, TypedDict, runtime_checkable

from ...core import AgentId, Label, Time, join_labels
from ..declaration import Tool, ToolContext, tool

MAX_NOTE_CHARS = 4_000
"""The most characters of a note."""
MAX_NOTES = 500
"""The most notes that somebody keeps."""
_LONGEST_NAME = 80


class Note(TypedDict):
    """A note: its name, its text, and when it was written."""

    name: str
    text: str
    written: str


class Notebook(Protocol):
    """Where somebody's notes are kept, by name. ``key`` is the call's: done again with the
    same key a writing must change nothing. ``person`` is for whom a note was written (empty:
    for its owner; EVERYBODY: for whoever hears of it); only they and its owner are shown it,
    and EVERYBODY nothing but what is for everybody."""

    def names(self, person: AgentId) -> list[str]:
        """The names of the notes there are, in order."""

    def read(self, name: str, person: AgentId) -> tuple[str, Time] | None:
        """A note's text and when it was written; None where there is none."""

    def write(self, name: str, text: str, *, at: Time, person: AgentId, key: str) -> None:
        """Keep a note, instead of the one of that name."""

    def remove(self, name: str, *, at: Time, person: AgentId, key: str) -> None:
        """Keep it no longer."""


@runtime_checkable
class LabelledNotebook(Protocol):
    """A notebook that keeps with each note on whose words it rests, and for whom alone it is
    besides its owner (``audience``; None: as ``person`` says)."""

    def names(self, person: AgentId) -> list[str]: ...

    def read(self, name: str, person: AgentId) -> tuple[str, Time] | None: ...

    def label(self, name: str, person: AgentId) -> Label:
        """The label of the note that ``read`` gives."""

    def write(
        self,
        name: str,
        text: str,
        *,
        at: Time,
        person: AgentId,
        key: str,
        sources: Iterable[str],
        audience: Iterable[AgentId] | None,
    ) -> None: ...

    def remove(self, name: str, *, at: Time, person: AgentId, key: str) -> None: ...


AnyNotebook: TypeAlias = Notebook | LabelledNotebook


def note_tools(book: AnyNotebook, *, outside: bool | None = None) -> tuple[Tool[..., Any], ...]:
    """The tools ``write_note``, ``list_notes``, ``read_note`` and ``remove_note``, over a
    notebook. What is written in a talk is for that person, who is shown nothing else's.

    Writing and removing ``acts``, on the agent's own things only: a policy with ``own=("*_note",)``
    leaves that right to a mind that has read a stranger's words. A note may then hold such words.
    Where the notebook keeps whose they are (see LabelledNotebook), reading it says so; else what
    is read in it is ``outside``, unless that is set off where none can get in.
    """
    read_outside = not isinstance(book, LabelledNotebook) if outside is None else outside
    write, remove = _writing(book)
    return write, *_reading(book, read_outside), remove


def _writing(book: AnyNotebook) -> tuple[Tool[..., Any], Tool[..., Any]]:
    @tool(effect="acts")
    def write_note(context: ToolContext, name: str, text: str, append: bool = False) -> str:
        """Write a note down under a name, to find it again later.

        Args:
            name: a short name, for example "shopping"
            text: what to write
            append: add to the note of that name instead of replacing it
        """
        named = _named(name)
        found = book.read(named, context.person)
        labels = [context.label]
        whole = text
        if append and found:
            whole = f"{found[0]}\n{text}"
            labels.append(_label(book, named, context.person))
        if len(whole) > MAX_NOTE_CHARS:
            raise ValueError(f"a note has at most {MAX_NOTE_CHARS} characters, not {len(whole)}")
        if found is None and len(book.names(context.person)) >= MAX_NOTES:
            raise ValueError(f"there are {MAX_NOTES} notes already; remove_note makes room")
        _write(book, named, whole, context, join_labels(labels, context.who))
        return f"noted under '{named}'"

    @tool(effect="acts")
    def remove_note(context: ToolContext, name: str) -> str:
        """Remove the note of a name.

        Args:
            name: the name it was written under
        """
        named = _named(name)
        if book.read(named, context.person) is None:
            raise ValueError(_missing(book, named, context))
        book.remove(named, at=context.now, person=context.person, key=context.key)
        return f"removed '{named}'"

    return write_note, remove_note


def _reading(book: AnyNotebook, outside: bool) -> tuple[Tool[..., Any], Tool[..., Any]]:
    @tool(effect="reads", outside=outside)
    def list_notes(context: ToolContext, word: str = "") -> list[str]:
        """List the names of the notes there are.

        Args:
            word: only those that have this word in their name or text; empty for all
        """
        wanted = word.casefold()
        return [
            name
            for name in _names(book, context)
            if wanted in name.casefold() or wanted in _text(book, name, context).casefold()
        ]

    @tool(effect="reads", outside=outside)
    def read_note(context: ToolContext, name: str) -> Note:
        """Read the note of a name.

        Args:
            name: the name it was written under
        """
        named = _named(name)
        found = book.read(named, context.person)
        if found is None:
            raise ValueError(_missing(book, named, context))
        context.add_label(_label(book, named, context.person))
        return Note(name=named, text=found[0], written=f"{found[1]:%Y-%m-%d %H:%M}")

    return list_notes, read_note


def _label(book: AnyNotebook, name: str, person: AgentId) -> Label:
    return book.label(name, person) if isinstance(book, LabelledNotebook) else Label()


def _write(book: AnyNotebook, name: str, text: str, context: ToolContext, label: Label) -> None:
    at, person, key = context.now, context.person, context.key
    if isinstance(book, LabelledNotebook):
        # What a mind notes by itself is its own, whatever it rests on.
        audience = label.audience if person and label.audience else None
        book.write(
            name, text, at=at, person=person, key=key, sources=label.sources, audience=audience
        )
        return
    # What is for some of those who hear it would be for all of them in this notebook.
    shared = not label.audience or person in label.audience
    book.write(name, text, at=at, person=person if shared else "", key=key)


def _names(book: AnyNotebook, context: ToolContext) -> list[str]:
    """The names that may be told, of which the answer tells: also what is not among them."""
    names = book.names(context.person)
    for name in names:
        context.add_label(_label(book, name, context.person))
    return names


def _named(name: str) -> str:
    named = " ".join(name.split())
    if not named or len(named) > _LONGEST_NAME or not named.isprintable():
        raise ValueError(f"a note's name has 1 to {_LONGEST_NAME} printable characters")
    return named


def _text(book: AnyNotebook, name: str, context: ToolContext) -> str:
    found = book.read(name, context.person)
    return found[0] if found else ""


def _missing(book: AnyNotebook, name: str, context: ToolContext) -> str:
    known = _names(book, context)
    shown = ", ".join(known[:20]) or "none"
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return f"there is no note '{name}'; there are: {shown}{more}"
