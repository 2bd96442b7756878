"""The text of a stream as it may be shown: without reasoning, up to the first stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .remote_reply import ReasoningFilter


class AnswerFilter:
    """Tells ``measure_text_facts`` what of a stream's text belongs to the answer, as soon as that
    is sure.

    ``has_output`` says whether anything was told. ``begun``: the text begins amid reasoning.

    >>> pieces = []
    >>> speech = AnswerFilter(pieces.append, ("\\n",))
    >>> speech.feed("<think>a\\nb</think>\\n\\nGood"), speech.feed(" day\\nBo:")
    (False, True)
    >>> pieces
    ['Good', ' day']
    """

    def __init__(
        self,
        on_text: Callable[[str], None] | None,
        stops: Sequence[str] = (),
        *,
        begun: bool = False,
    ) -> None:
        self.has_output = False
        self._on_text = on_text
        self._stops = tuple(stop for stop in stops if stop)
        self._filter = ReasoningFilter(begun=begun)
        self._held_back = ""
        self._ended = False

    def feed(self, piece: str) -> bool:
        """Take a piece of the stream in; whether a stop string was met, so that no more of it
        is wanted."""
        if not self._ended:
            self._push(self._filter.feed(piece))
        return self._ended

    def finish(self) -> None:
        """The stream is over: tell what was held back."""
        if not self._ended:
            self._push(self._filter.finish())
            self._emit(self._held_back)

    def _push(self, text: str) -> None:
        text, self._ended = cut_at_stop(self._held_back + text, self._stops)
        length = 0 if self._ended else _stop_prefix_length(text, self._stops)
        self._held_back = text[len(text) - length :]
        self._emit(text[: len(text) - length])

    def _emit(self, text: str) -> None:
        if text and self._on_text is not None:
            self.has_output = True
            self._on_text(text)


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string in it, and whether there is one.

    >>> cut_at_stop("Good day. Bo: yes", ("Bo:", "\\n"))
    ('Good day. ', True)
    """
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _stop_prefix_length(text: str, stops: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0
