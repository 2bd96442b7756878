"""Several drafts of a text side by side, and the best of them by likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...core import (
    Choice,
    Choose,
    Completion,
    Generate,
    Message,
    Option,
    Seed,
    Thought,
    all_of,
    choose,
    generate,
)
from .step_builder import StepBuilder, identity_text


def best_of(
    draft: StepBuilder,
    ask: Generate,
    count: int,
    *,
    seed: Seed,
    clean: Callable[[str], str],
    about: str,
    role: str,
    unlike: Callable[[str], bool] | None = None,
    strays: Sequence[str] = (),
) -> Thought[str]:
    """The draft of ``ask`` (``count`` of them, by different seeds) that ``about`` fits best.

    A tiny model's drafts stray; that one of them belongs to the matter is something it
    judges far better than it writes. ``clean`` makes a draft usable (an empty text throws
    it away), ``unlike`` says which ones must not be used. ``strays`` are what a draft must
    fit better than: where one of them fits best, all drafts are beside the matter. Empty
    when none is left.
    """
    answers = yield from all_of(
        [generate(replace(ask, seed=seed.child(number).number)) for number in range(count)]
    )
    texts = [clean(answer.text) for answer in answers if isinstance(answer, Completion)]
    usable = [text for text in texts if text and not (unlike and unlike(text))]
    options = list(dict.fromkeys(usable))
    if len(options) + len(strays) <= 1 or not options:
        return options[0] if options else ""
    against = [text for text in dict.fromkeys(strays) if text not in options]
    offered = [Option(text) for text in (*options, *against)]
    best = yield from pick_option(draft, offered, about=about, role=role)
    return best if best in options else ""


def pick_option(
    draft: StepBuilder, options: Sequence[Option], *, about: str, role: str
) -> Thought[str]:
    """Choose one option and explain it in the draft; the first one if the engine failed."""
    seed = draft.situation.seed.child(role, about).number
    message = Message.of("system", identity_text(draft.situation))
    answer = yield from choose(
        Choose(messages=(message,), options=tuple(options), about=about, seed=seed, role=role)
    )
    if not isinstance(answer, Choice):
        draft.explain(f"(no choice of {role}: {answer.detail})")
        return options[0].name
    return options[answer.index].name
