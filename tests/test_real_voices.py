"""The default voice of the packaged model, with the real weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
from denizens.core import (
    DEFAULT_VOICE,
    Choice,
    Choose,
    Generate,
    Message,
    Model,
    Option,
    answer_all,
)
from denizens.models import LocalModel
from denizens.models.engine import ScoringPlan, TokenPair
from denizens.planners.speech import Speaker, SpokenLine, speech_messages

pytestmark = pytest.mark.real

FACTS = ("I am a baker.", "I have a dog called Rex.", "My oven broke last night.")
TALK = (SpokenLine("Good morning! What happened to your oven?", own=False),)
TRUE = "It broke last night, so there is no bread today."


@pytest.fixture(scope="module")
def model(smollm2: Model) -> LocalModel:
    """The default model, which has its voice."""
    assert isinstance(smollm2, LocalModel)
    assert smollm2.describe()["voice"]
    return smollm2


def test_the_voice_finds_a_true_line_likelier(model: LocalModel) -> None:
    """A line that answers from the persona's facts, and the end of its turn, by a third of a nat
    a token or more; both likelihoods in one decision."""
    builder = model.prompt_builder
    context = builder.ids(speech_messages(Speaker(name="Bo Lind", facts=FACTS), TALK))
    target = builder.text_ids(TRUE) + builder.closing_ids()
    pairs = tuple(TokenPair(context, target, voice) for voice in ("", DEFAULT_VOICE))
    sums: dict[TokenPair, float] = {}

    class Recorder:
        def embed_ahead(self, asks: object) -> None: ...

        def prepare(self, ask: object) -> ScoringPlan:
            def keep(scores: object) -> Choice:
                sums.update(scores)  # type: ignore[call-overload]
                return Choice(index=0, probabilities=(1.0,))

            return ScoringPlan(pairs, {}, keep)

        def cache_scores(self, scores: object) -> None: ...

    decider, model.engine.decider = model.engine.decider, Recorder()
    try:
        answer_all(model.client(), [Choose(messages=(), options=(Option("a"),), about="x")])
    finally:
        model.engine.decider = decider
    base, voiced = (sums[pair] / len(target) for pair in pairs)
    assert voiced > base + 0.3


def test_decisions_do_not_depend_on_the_voice(model: LocalModel) -> None:
    """A decision beside voiced generations is what it is alone, up to rounding."""
    options = tuple(Option(name) for name in ("bake bread", "go fishing", "sleep"))
    ask = Choose(
        messages=(Message.of("user", "Bo is a baker. It is five in the morning."),),
        options=options,
        about="What does Bo do now?",
    )
    line = Generate(
        messages=speech_messages(Speaker(name="Bo Lind", facts=FACTS), TALK),
        voice=DEFAULT_VOICE,
        max_tokens=24,
    )
    (alone,) = answer_all(model.client(), [ask])
    beside = answer_all(model.client(), [*(replace(line, seed=i) for i in range(4)), ask])[-1]
    assert isinstance(alone, Choice)
    assert isinstance(beside, Choice)
    assert beside.probabilities == pytest.approx(alone.probabilities, abs=0.02)
