"""What was computed of one caller's prompt serves no other: counted in cached tokens, not time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from denizens import Agent, Memory, Persona
from denizens.core import Choose, Embed, Generate, Message, ModelAsk, Option, Rate, cache_owner
from denizens.models import LocalModel
from denizens.models.engine import CacheScope
from denizens.models.engine.kv_cache import PrefixCache
from denizens.models.engine.public_prefixes import PublicPrefixes
from denizens.server.hosting.public_prompts import public_asks
from denizens.store import Store
from denizens.tests.support.tiny_models import answers, generate_ask, load_engine, write

SECRET = "My sister Wilhelmina keeps nine goats behind the old mill by the river, do not tell."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """A tiny model with the engine of a real one."""
    return load_engine(write(tmp_path_factory.mktemp("tiny"), "llama"))


def reused(model: LocalModel, ask: ModelAsk, owner: str) -> int:
    """The cached tokens that an ask of ``owner`` is served from."""
    before = model.engine.stats.reused
    with cache_owner(owner):
        answers(model, [ask])
    assert model.engine.check_invariants() == []
    return model.engine.stats.reused - before


def computed(model: LocalModel, ask: ModelAsk, owner: str) -> int:
    """The tokens that the engine computes for an ask of ``owner``."""
    before = model.engine.stats.tokens
    with cache_owner(owner):
        answers(model, [ask])
    return model.engine.stats.tokens - before


def test_nobody_finds_what_another_sent(model: LocalModel) -> None:
    """The same private prompt is a hit for who sent it before, and none for anybody else."""
    ask = generate_ask(SECRET)
    assert reused(model, ask, "key:a/Ada") == 0
    own = reused(model, ask, "key:a/Ada")
    assert own > 20
    for other in ("key:b/Bo", "key:a/Cy", "local"):
        assert reused(model, ask, other) == 0
    assert reused(model, ask, "key:a/Ada") == own


def test_public_text_is_shared(model: LocalModel) -> None:
    """A published beginning is computed once for all, up to where the private text begins."""
    persona = "I am Bo Lind. I bake bread in the town of Larkspur, and I know everybody there well."
    system = Message.of("system", persona)

    def ask(text: str) -> Generate:
        return replace(generate_ask(), messages=(system, Message.of("user", text)))

    model.publish([ask("")])
    assert reused(model, ask(SECRET), "key:a") == 0
    shared = reused(model, ask("What is new?"), "key:b")
    ids = model.prompt_builder.ids(ask(SECRET).messages)
    public = model.engine.public_prefixes.match_length(ids)
    assert 20 < shared <= public
    # The same whole prompt as another's: not a token beyond the public ones.
    assert reused(model, ask(SECRET), "key:c") <= public
    assert reused(model, ask(SECRET), "key:a") > public


def test_scores_are_kept_apart(model: LocalModel) -> None:
    """A decision that another has asked for is computed again; one's own is not."""
    for ask in (
        Choose(
            messages=(Message.of("user", SECRET),),
            options=(Option("yes"), Option("no")),
            about=SECRET,
        ),
        Rate(messages=(Message.of("user", SECRET),), about=SECRET, low=1, high=5),
    ):
        first = computed(model, ask, "key:a")
        assert first > 0
        assert computed(model, ask, "key:a") == 0
        assert computed(model, ask, "key:b") == first


def test_two_owners_in_one_batch(model: LocalModel) -> None:
    """Asks of two owners that wait at once share no job, and each gets its answer."""
    ask = Choose(messages=(), options=(Option("red"), Option("blue")), about=f"{SECRET} Now.")
    client, other = model.client(), model.client()
    before = model.engine.stats.tokens
    with cache_owner("key:a"):
        client.submit(ask)
    with cache_owner("key:b"):
        other.submit(ask)
    first, second = client.wait(), other.wait()
    both = model.engine.stats.tokens - before
    chosen = [event.answer.index for event in (*first, *second)]  # type: ignore[union-attr]
    assert len(set(chosen)) == 1
    # All but the first words of the chat template, which an earlier test has published.
    assert both > 1.5 * computed(model, ask, "key:c")


def test_vectors_are_kept_apart(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that another has embedded is embedded again."""
    encoded: list[str] = []
    encode = model.embedder._encode

    def count(texts: list[str]) -> object:
        encoded.extend(texts)
        return encode(texts)

    monkeypatch.setattr(model.embedder, "_encode", count)
    for owner in ("key:d", "key:d", "key:e"):
        with cache_owner(owner):
            answers(model, [Embed(texts=(SECRET,))])
    assert encoded == [SECRET, SECRET]


def test_a_rehearsal_has_nothing_of_anybody(tmp_path: Path) -> None:
    """The prompts that are published know of no memory, and of nobody who has talked with the
    agent."""
    from denizens.models import ImprovisedModel

    with Store(tmp_path / "bo.db") as store:
        persona = Persona(name="Bo Lind", age=40, background="Bo bakes bread.")
        agent = Agent(persona, model=ImprovisedModel(), memory=Memory(store, "Bo Lind"))
        agent.chat(SECRET, "Ada")
        agent.learn(["Wilhelmina is my best customer."])
        asks = public_asks(agent)
    texts = str(asks)
    assert asks
    assert "Bo bakes bread." in texts
    assert not any(word in texts for word in ("Wilhelmina", "goats", "Ada"))


def test_the_private_part_continues_the_public_one() -> None:
    """Trees of owners hang behind the public tokens; eviction empties them all."""
    import torch

    cache = PrefixCache()
    ids = tuple(range(100, 140))

    def kv(start: int, end: int) -> torch.Tensor:
        return torch.zeros(1, 1, end - start, 1)

    a, b = CacheScope("", "a", 20), CacheScope("", "b", 20)
    assert cache.insert(ids, kv, a) == 40
    assert (cache.match_length(ids, a), cache.match_length(ids, b)) == (40, 20)
    assert cache.match_length(ids) == 20
    assert cache.match_length(ids, CacheScope("other", "a", 20)) == 0
    assert cache.insert(ids, kv, b) == 20
    assert sum(map(len, cache.match(ids, b))) == 40
    assert cache.evict(1000) == 60
    assert (cache.tokens, cache._trees) == (0, {})


def test_public_prefixes() -> None:
    """The longest beginning that any public sequence has."""
    public = PublicPrefixes()
    for one in ([1, 2, 3], [1, 2, 9, 9, 9], [5]):
        public.add(one)
    assert [public.match_length(ids) for ids in ([1, 2, 9, 9, 1], [1, 2], [5, 6], [7])] == [
        4,
        2,
        1,
        0,
    ]
