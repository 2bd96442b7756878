"""Critics of next lines: their data, fitting, figures, and the rounds against a voice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from denizens.core import DataError, SettingError
from denizens.models import LocalModel, load_local
from denizens.models.decisions import LineMatcher, heard_talk
from denizens.testing import write_tiny_embedder, write_tiny_model
from denizens.training import DialogueLine, PersonaDialogue, next_line_items
from denizens.training.critics import (
    FALSE_KINDS,
    KIND_WEIGHTS,
    TRUE,
    AdversarialSettings,
    CriticData,
    CriticItem,
    CriticSettings,
    JudgedTable,
    LinePlace,
    MatcherData,
    MatcherSettings,
    NetworkSettings,
    critic_auc,
    discriminator_auc,
    draft_lines,
    evaluate_critic,
    evaluate_reply_at_1,
    expected_calibration_error,
    fit_matcher,
    fit_network,
    line_places,
    mixture_weights,
    roc_auc,
    train_adversarial,
    train_critic,
)
from denizens.training.samples import Sample

THINGS = (
    *("bread", "honey", "oven", "river", "garden", "piano"),
    *("violin", "horse", "boat", "letter", "candle", "lantern"),
)
SMALL = CriticSettings(
    places=24,
    voice="",
    matcher=MatcherSettings(rank=4, epochs=3, batch=32),
    network=NetworkSettings(units=3, steps=40),
)


def dialogue(number: int) -> PersonaDialogue:
    thing, other = THINGS[number % 12], THINGS[(number * 5 + 3) % 12]
    lines = (
        "Hello there, how are you?",
        f"I am well, I have a {thing} at home.",
        f"What do you do with your {thing} number {number}?",
        f"I keep the {thing} clean. What do you have?",
        f"I have a {other} which my mother gave me.",
        f"A {other} is a fine thing to have, {number} times.",
    )
    return PersonaDialogue(
        lines=tuple(DialogueLine(place % 2, text) for place, text in enumerate(lines)),
        facts=((f"I have a {other}.", "I sleep long."), (f"I have a {thing}.", "I like rain.")),
    )


DIALOGUES = [dialogue(number) for number in range(40)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = tmp_path_factory.mktemp("models")
    tiny = write_tiny_model(folder / "tiny")
    texts = write_tiny_embedder(folder / "texts")
    return load_local(str(tiny), device="cpu", dtype="float32", embedder=str(texts))


@pytest.fixture(scope="module")
def places() -> list[LinePlace]:
    import random

    return line_places(DIALOGUES, random.Random(1))


@pytest.fixture(scope="module")
def items(model: LocalModel, places: list[LinePlace]) -> list[CriticItem]:
    import random

    data = CriticData(places, model.embedder.vectors, random.Random(2))
    return data.items(range(0, len(places), 5))


def test_a_place_holds_what_its_speaker_knows(places: list[LinePlace]) -> None:
    """The prompt ends with the other's turn, only its last turn has notes, and the memo task is
    left out."""
    assert len(places) > 150
    for place in places:
        assert place.messages[-1].role == "user"
        assert "[We part." not in place.messages[-1].text
        earlier = "\n".join(m.text for m in place.messages[1:-1])
        assert "[I want to say" not in earlier
        assert "[I remember" not in earlier


def test_false_lines_are_of_their_kind(items: list[CriticItem], places: list[LinePlace]) -> None:
    """Lines of other talks are other talks', repeated ones the speaker's own, the partner's the
    partner's; a contradiction lacks the fact that its line tells."""
    by_dialogue: dict[int, set[str]] = {}
    for place in places:
        by_dialogue.setdefault(place.dialogue, set()).add(place.line)
    seen = set()
    for item in items:
        talk = heard_talk(item.messages, "")
        for draft in item.drafts:
            seen.add(draft.kind)
            if draft.kind == "repeat":
                assert draft.text in talk.own
            if draft.kind == "partner":
                assert draft.text in (*talk.partner, talk.last)
            if draft.kind == "other":
                owners = {n for n, lines in by_dialogue.items() if draft.text in lines}
                assert owners - {item.dialogue}
            if draft.kind == "contradiction":
                assert item.drafts == (draft,)
    assert seen >= {TRUE, *FALSE_KINDS} - {"generated"}
    assert all(len({draft.text for draft in item.drafts}) == len(item.drafts) for item in items)


def test_the_matcher_learns_what_belongs_together() -> None:
    """Lines that repeat a direction of the line before are found among 20 far more often than by
    chance."""
    rng = np.random.default_rng(1)
    names = [f"{kind} {i}" for i in range(200) for kind in ("heard", "line")]
    vectors = {}
    for i in range(200):
        hidden = rng.normal(size=4)
        heard = np.concatenate([hidden, rng.normal(size=4)])
        line = np.concatenate([rng.normal(size=4), hidden])
        vectors[f"heard {i}"] = (heard / np.linalg.norm(heard)).astype(np.float32)
        vectors[f"line {i}"] = (line / np.linalg.norm(line)).astype(np.float32)
    from denizens.planners.speech import Speaker, SpokenLine, speech_messages

    made = [
        LinePlace(
            speech_messages(Speaker(), [SpokenLine(f"heard {i}", False)]), f"line {i}", dialogue=i
        )
        for i in range(200)
    ]
    assert len(names) == len(vectors)
    settings = MatcherSettings(
        rank=8, epochs=60, batch=60, learning_rate=0.03, dropout=0.0, patience=60
    )
    matcher = fit_matcher(MatcherData.of_places(made, vectors), settings, seed=1)
    assert isinstance(matcher, LineMatcher)

    def right(i: int) -> bool:
        talk = heard_talk(made[i].messages, "")
        scores = {
            j: sum(matcher.features(talk, f"line {j}", vectors).values()) for j in range(9, 200, 10)
        }
        return max(scores, key=lambda j: scores[j]) == i

    held = [*range(9, 200, 10)]
    assert sum(map(right, held)) / len(held) > 0.4


def test_probabilities_are_calibrated_in_the_mixture() -> None:
    """Where a feature tells true from false with some overlap, the network's probabilities agree
    with the shares of true lines."""
    rng = np.random.default_rng(3)
    tables = []
    for number in range(600):
        kinds = (TRUE, "other", "other")
        features = np.array(
            [[rng.normal(1.0 if kind == TRUE else 0.0), rng.normal()] for kind in kinds]
        )
        tables.append(JudgedTable(features, kinds, number))
    network, temperature = fit_network(tables[:400], NetworkSettings(units=3, steps=200), 1)
    judged = tables[400:]
    logits = np.concatenate([network.logits(t.features) for t in judged]) / temperature
    kinds_flat = [kind for t in judged for kind in t.kinds]
    shares = 1 / (1 + np.exp(-logits))
    true = [kind == TRUE for kind in kinds_flat]
    assert expected_calibration_error(shares, true, mixture_weights(kinds_flat)) < 0.06
    assert roc_auc(logits[np.array(true)].tolist(), logits[~np.array(true)].tolist()) > 0.7


def test_the_mixture_has_as_many_true_lines_as_false() -> None:
    """Each kind of false line has its share, however many there are."""
    kinds = [TRUE, "other", "other", "other", "generated"]
    weights = mixture_weights(kinds)
    assert weights[0] == pytest.approx(0.5)
    assert weights[1:4].sum() / weights[4] == pytest.approx(
        KIND_WEIGHTS["other"] / KIND_WEIGHTS["generated"]
    )
    assert sum(KIND_WEIGHTS.values()) == pytest.approx(1)
    assert set(KIND_WEIGHTS) == set(FALSE_KINDS)


def test_calibration_error_of_known_cases() -> None:
    """Right probabilities have no error; certain and wrong ones the whole."""
    ones = np.ones(4)
    assert expected_calibration_error(np.full(4, 0.5), [True, False] * 2, ones) == 0
    assert expected_calibration_error(np.ones(4), [False] * 4, ones) == pytest.approx(1)


def test_a_killed_training_goes_on_and_ends_the_same(model: LocalModel, tmp_path: Path) -> None:
    """Killed after some prompts, with half a line written, the same call ends with the critic of a
    training that was not killed."""

    class Killed(Exception):
        pass

    def kill(text: str) -> None:
        if text.startswith("likelihoods: 16"):
            raise Killed

    whole = train_critic(model, DIALOGUES, tmp_path / "whole", SMALL)
    with pytest.raises(Killed):
        train_critic(model, DIALOGUES, tmp_path / "killed", SMALL, kill)
    (features,) = (tmp_path / "killed").glob("features-*.jsonl")
    with features.open("a", encoding="utf-8") as file:
        file.write('{"kinds": ["true"], "feat')
    texts: list[str] = []
    again = train_critic(model, DIALOGUES, tmp_path / "killed", SMALL, texts.append)
    assert not any(text.startswith(("embeddings", "likelihoods: 0 ")) for text in texts)
    assert again.temperature == pytest.approx(whole.temperature)
    assert again.network.linear == pytest.approx(whole.network.linear, abs=1e-6)


def test_a_trained_critic_can_be_asked(model: LocalModel, tmp_path: Path) -> None:
    """Written, read and asked: the figures are those of a critic, and the model ranks by it."""
    critic = train_critic(model, DIALOGUES, tmp_path / "work", SMALL)
    critic.write(tmp_path)
    model.decider.load_critic("", tmp_path)
    found = next_line_items(DIALOGUES, 12, others=5)
    for by in ("critic", "likelihood", "corrected"):
        assert 0 <= evaluate_reply_at_1(model, found, by=by, voice="") <= 1
    assert 0 <= critic_auc(model, found, voice="") <= 1
    figures = evaluate_critic(model, critic, DIALOGUES[:20], SMALL)
    assert set(figures.auc) <= set(FALSE_KINDS)
    assert figures.lines == 24
    assert math.isfinite(figures.calibration_error)


def test_too_little_data_is_refused(model: LocalModel, tmp_path: Path) -> None:
    """Fewer than twenty dialogues teach no critic."""
    with pytest.raises(DataError, match="at least 20"):
        train_critic(model, DIALOGUES[:5], tmp_path)


def test_the_discriminator_tells_noise_from_lines_but_not_lines_from_lines(
    model: LocalModel,
) -> None:
    """Its area is near 1 for lines of another kind, and near one half for lines drawn from the
    same ones."""
    found = next_line_items(DIALOGUES, 40, others=1, seed=4)
    prompts, true = [item.messages for item in found], [item.true for item in found]
    noise = ["Zig zag zog zug!"] * len(found)
    assert discriminator_auc(model, prompts, true, noise) > 0.95
    turned = discriminator_auc(model, prompts, noise, true)
    assert turned > 0.95
    shuffled = true[1:] + true[:1]
    assert discriminator_auc(model, prompts, true, shuffled) < 0.95


def test_rounds_teach_the_picks_and_are_judged(model: LocalModel, tmp_path: Path) -> None:
    """Each round trains from the voice before on drafts and true lines, writes a critic, and adds
    a stage; the base model and the first voice are judged too."""
    taught: list[tuple[int, Path, Path]] = []

    def learn(samples: Sequence[Sample], start: Path, out: Path) -> None:
        assert all(sample.messages[-1].role == "assistant" for sample in samples)
        out.mkdir(parents=True)
        taught.append((len(samples), start, out))

    stages = train_adversarial(
        DIALOGUES,
        DIALOGUES[:20],
        tmp_path / "start",
        tmp_path / "out",
        load=lambda folder: model,
        learn=learn,
        settings=AdversarialSettings(rounds=1, prompts=20, drafts=2, judged=20, critic=SMALL),
    )
    assert [stage.name for stage in stages] == ["base", "voice", "round 1"]
    ((count, start, out),) = taught
    assert (start, out) == (tmp_path / "start", tmp_path / "out" / "round-1")
    assert 0 < count <= 20
    assert (out / "critic.safetensors").is_file()
    assert stages[-1].auc_picked is not None


def test_settings_of_rounds_are_checked() -> None:
    """A setting out of range is refused by its name."""
    with pytest.raises(SettingError, match="drafts"):
        AdversarialSettings(drafts=1)


def test_a_damaged_critic_is_removed_before_a_new_one_is_trained(tmp_path: Path) -> None:
    """The voice would not load with it; one that can be read stays."""
    from denizens.cli.critic_commands import _remove_damaged_critic

    (tmp_path / "critic.json").write_text("{", encoding="utf-8")
    _remove_damaged_critic(tmp_path)
    assert [*tmp_path.iterdir()] == []
    _remove_damaged_critic(tmp_path)


def test_drafts_differ_by_prompt_and_seed_only(model: LocalModel) -> None:
    """The same seed drafts the same lines."""
    prompts = [item.messages for item in next_line_items(DIALOGUES, 3)]
    first = draft_lines(model, prompts, "", seed=1)
    assert first == draft_lines(model, prompts, "", seed=1)
