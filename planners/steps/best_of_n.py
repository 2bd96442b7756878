"""Best-of-n generation: several drafts in parallel, the best one chosen by likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ...core import (
    Choice,
    Choose,
    Completion,
    Failed,
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
    builder: StepBuilder,
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
    """Generate ``count`` drafts of ``ask`` with different seeds and return the one that fits
    ``about`` best; empty if no draft is usable.

    A small model often writes off topic but ranks texts well. ``clean`` turns a completion
    into a draft (an empty text discards it) and ``unlike`` rejects drafts. ``strays`` are
    off-topic texts that compete with the drafts: if one of them wins, no draft is returned.
    """
    answers = yield from all_of(
        [generate(replace(ask, seed=seed.child(number).number)) for number in range(count)]
    )
    texts = [clean(answer.text) for answer in answers if isinstance(answer, Completion)]
    drafts = list(dict.fromkeys(text for text in texts if text and not (unlike and unlike(text))))
    if len(drafts) + len(strays) <= 1 or not drafts:
        return drafts[0] if drafts else ""
    off_topic = [text for text in dict.fromkeys(strays) if text not in drafts]
    options = [Option(text) for text in (*drafts, *off_topic)]
    best = yield from pick_option(builder, options, about=about, role=role)
    return best if best in drafts else ""


def choose_among(
    options: Iterable[Option],
    *,
    about: str,
    role: str,
    seed: int = 0,
    messages: tuple[Message, ...] = (),
) -> Thought[Choice | Failed]:
    """Choose the option that explains ``about`` best."""
    ask = Choose(messages=messages, options=tuple(options), about=about, role=role, seed=seed)
    return (yield from choose(ask))


def pick_option(
    builder: StepBuilder, options: Sequence[Option], *, about: str, role: str
) -> Thought[str]:
    """Choose an option by likelihood and return its name.

    If the model fails, the first option is returned and the failure is added to the
    explanation of the step."""
    seed = builder.situation.seed.child(role, about).number
    messages = (Message.of("system", identity_text(builder.situation)),)
    answer = yield from choose_among(options, about=about, role=role, seed=seed, messages=messages)
    if not isinstance(answer, Choice):
        builder.explain(f"(no choice of {role}: {answer.detail})")
        return options[0].name
    return options[answer.index].name
