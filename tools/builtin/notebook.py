"""Tools for notes: short named texts that an agent writes and reads again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias, TypedDict, runtime_checkable

from ...core import AgentId, Label, Time, join_labels
from ..declaration import Tool, ToolContext, tool

MAX_NOTE_CHARS = 4_000
"""Maximum characters of a note."""
MAX_NOTES = 500
"""Maximum number of notes visible to a person."""
_MAX_NAME_CHARS = 80


class Note(TypedDict):
    """Name, text and time of a note."""

    name: str
    text: str
    written: str


class Notebook(Protocol):
    """Storage of an agent's notes by name. ``key`` is the key of the tool call: a repeated write
    with the same key must change nothing. ``person`` is the person a note is for (empty: the owner;
    EVERYBODY: everybody); only that person and the owner may read it."""

    def names(self, person: AgentId) -> list[str]:
        """The names of the notes, sorted."""

    def read(self, name: str, person: AgentId) -> tuple[str, Time] | None:
        """Text and time of a note, None if there is none."""

    def write(self, name: str, text: str, *, at: Time, person: AgentId, key: str) -> None:
        """Write a note, replacing the one of that name."""

    def remove(self, name: str, *, at: Time, person: AgentId, key: str) -> None:
        """Remove a note."""


@runtime_checkable
class LabelledNotebook(Protocol):
    """A notebook that stores with each note its sources and its audience besides the owner (None:
    ``person``)."""

    def names(self, person: AgentId) -> list[str]: ...

    def read(self, name: str, person: AgentId) -> tuple[str, Time] | None: ...

    def label(self, name: str, person: AgentId) -> Label:
        """The label of the note that ``read`` returns."""

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
    """The tools ``write_note``, ``list_notes``, ``read_note`` and ``remove_note`` over a notebook.
    A note written in a conversation is for that person, who sees no notes for others.

    Writing and removing ``acts``, but only on the agent's own data: with the policy
    ``own=("*_note",)`` they stay allowed after reading untrusted words, which a note may then
    contain. A LabelledNotebook stores the sources, which reading adds to the context. With any
    other notebook the reading tools are ``outside``, unless ``outside=False`` is given.
    """
    read_outside = not isinstance(book, LabelledNotebook) if outside is None else outside
    write, remove = _write_tools(book)
    return write, *_read_tools(book, read_outside), remove


def _write_tools(book: AnyNotebook) -> tuple[Tool[..., Any], Tool[..., Any]]:
    @tool(effect="acts")
    def write_note(context: ToolContext, name: str, text: str, append: bool = False) -> str:
        """Write a note down under a name, to find it again later.

        Args:
            name: a short name, for example "shopping"
            text: what to write
            append: add to the note of that name instead of replacing it
        """
        valid_name = _validate_name(name)
        old = book.read(valid_name, context.person)
        labels = [context.label]
        content = text
        if append and old:
            content = f"{old[0]}\n{text}"
            labels.append(_label(book, valid_name, context.person))
        if len(content) > MAX_NOTE_CHARS:
            raise ValueError(f"a note has at most {MAX_NOTE_CHARS} characters, not {len(content)}")
        if old is None and len(book.names(context.person)) >= MAX_NOTES:
            raise ValueError(f"there are {MAX_NOTES} notes already; remove_note makes room")
        _write(book, valid_name, content, context, join_labels(labels, context.who))
        return f"noted under '{valid_name}'"

    @tool(effect="acts")
    def remove_note(context: ToolContext, name: str) -> str:
        """Remove the note of a name.

        Args:
            name: the name it was written under
        """
        valid_name = _validate_name(name)
        if book.read(valid_name, context.person) is None:
            raise ValueError(_missing_note(book, valid_name, context))
        book.remove(valid_name, at=context.now, person=context.person, key=context.key)
        return f"removed '{valid_name}'"

    return write_note, remove_note


def _read_tools(book: AnyNotebook, outside: bool) -> tuple[Tool[..., Any], Tool[..., Any]]:
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
        valid_name = _validate_name(name)
        note = book.read(valid_name, context.person)
        if note is None:
            raise ValueError(_missing_note(book, valid_name, context))
        context.add_label(_label(book, valid_name, context.person))
        return Note(name=valid_name, text=note[0], written=f"{note[1]:%Y-%m-%d %H:%M}")

    return list_notes, read_note


def _label(book: AnyNotebook, name: str, person: AgentId) -> Label:
    return book.label(name, person) if isinstance(book, LabelledNotebook) else Label()


def _write(book: AnyNotebook, name: str, text: str, context: ToolContext, label: Label) -> None:
    at, person, key = context.now, context.person, context.key
    if isinstance(book, LabelledNotebook):
        # A note written outside a conversation is the agent's own, whatever it rests on.
        audience = label.audience if person and label.audience else None
        book.write(
            name, text, at=at, person=person, key=key, sources=label.sources, audience=audience
        )
        return
    # This notebook stores no audience: a note for a narrower one is written for the owner.
    shared = not label.audience or person in label.audience
    book.write(name, text, at=at, person=person if shared else "", key=key)


def _names(book: AnyNotebook, context: ToolContext) -> list[str]:
    """The visible names. Their labels are added to the context, since a list also tells what is
    missing from it."""
    names = book.names(context.person)
    for name in names:
        context.add_label(_label(book, name, context.person))
    return names


def _validate_name(name: str) -> str:
    named = " ".join(name.split())
    if not named or len(named) > _MAX_NAME_CHARS or not named.isprintable():
        raise ValueError(f"a note's name has 1 to {_MAX_NAME_CHARS} printable characters")
    return named


def _text(book: AnyNotebook, name: str, context: ToolContext) -> str:
    note = book.read(name, context.person)
    return note[0] if note else ""


def _missing_note(book: AnyNotebook, name: str, context: ToolContext) -> str:
    known = _names(book, context)
    shown = ", ".join(known[:20]) or "none"
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return f"there is no note '{name}'; there are: {shown}{more}"
