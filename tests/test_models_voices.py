"""Voices: adapters in the engine say what peft's own module says, whoever shares the pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from denizens.core import (
    DEFAULT_VOICE,
    Choice,
    Choose,
    Completion,
    Failed,
    Generate,
    Message,
    ModelAsk,
    ModelCorrupt,
    ModelError,
    ModelNotFound,
    Option,
    Rating,
)
from denizens.models import LocalModel, load_model
from denizens.models.engine import CacheScope, ScoringPlan, TokenPair, make_backend
from denizens.models.engine.backends import Backend, EagerBackend
from denizens.models.engine.lora import linear_shapes, row_groups
from denizens.models.engine.request import TokenSequence
from denizens.models.files import read_adapter, require_fit
from denizens.testing import write_tiny_model, write_tiny_voice
from denizens.tests.support.engine_fuzzer import (
    FuzzedEngine,
    IsolatedAnswers,
    random_ask,
    resize,
    words,
)
from denizens.tests.support.tiny_models import (
    TOLERANCE,
    agree,
    answers,
    generate_ask,
    load_engine,
    load_transformers,
    record_draws,
    unguarded,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = ("llama", "qwen3", "phi3", "gpt_neox", "mistral", "mamba")
CPU = torch.device("cpu")
WINDOW = 512


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models that run in each way, and two voices for each."""
    home = write(tmp_path_factory.mktemp("tiny"), *KINDS)
    for kind in KINDS:
        # peft adapts no layer of Mamba whose weights its kernel takes.
        common: dict[str, Any] = {"targets": ("in_proj", "x_proj")} if kind == "mamba" else {}
        write_tiny_voice(home / f"{kind}-a", home / kind, seed=1, **common)
        write_tiny_voice(home / f"{kind}-b", home / kind, seed=2, rank=2, lora_alpha=3, **common)
    return home


def tuned(folder: Path, kind: str, voice: str) -> Any:
    """The model of transformers with a voice, by peft."""
    peft = pytest.importorskip("peft")
    model = load_transformers(folder, kind)
    adapted = peft.PeftModel.from_pretrained(model, str(folder / f"{kind}-{voice}"))
    adapted.train(False)
    return adapted


def backend_of(folder: Path, kind: str, default: str = "") -> Backend:
    """A backend with the voices a and b, one of which may be there from the beginning."""
    model = load_transformers(folder, kind)
    shapes = linear_shapes(model)
    adapters = {voice: read_adapter(folder / f"{kind}-{voice}") for voice in "ab"}
    backend = make_backend(kind, model, CPU, WINDOW, adapter=adapters.get(default))
    for adapter in adapters.values():
        require_fit(adapter, shapes, kind)
        backend.add_adapter(adapter)
    return backend


def digests(folder: Path, kind: str) -> dict[str, str]:
    """The digests of the voices, with that of none."""
    return {"": "", **{v: read_adapter(folder / f"{kind}-{v}").digest for v in "ab"}}


@pytest.mark.parametrize("default", ["", "a"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mixed_pass_has_the_logits_of_peft(folder: Path, kind: str, default: str) -> None:
    """Sequences of two voices and of none in the same passes, in any order: prompts, single
    tokens and several have the logits of peft's module (of the plain one without a voice),
    whether a voice is there from the beginning or added later."""
    backend, known = backend_of(folder, kind, default), digests(folder, kind)
    modules = {"": load_transformers(folder, kind), **{v: tuned(folder, kind, v) for v in "ab"}}
    random = Random(3)
    rows = []
    for voice in ("", "a", "b", "a", "", "b"):
        ids = [random.randrange(3, 280) for _ in range(50)]
        rows.append(
            (
                TokenSequence(ids[:40], 20, 0, (0, 0, 0, 0), None, CacheScope(known[voice])),
                ids,
                voice,
            )
        )
    for row, _, _ in rows:
        assert backend.allocate(row, {})
    for count in (40, 1, 1, 5, 3):
        for row, ids, _ in rows:
            row.ids = ids[: row.computed + count]
        with torch.inference_mode():
            logits = backend.logits(backend.run([(row, count) for row, _, _ in rows]))
        place = 0
        for row, _, voice in rows:
            wanted = row.wanted_count(count)
            with torch.no_grad():
                own = modules[voice](torch.tensor([row.ids]), use_cache=False).logits[0]
            apart = logits[place : place + wanted] - own[-wanted:]
            assert float(apart.abs().max()) < TOLERANCE
            row.computed += count
            place += wanted
    with torch.no_grad():
        whole = torch.tensor([rows[0][1]])
        assert float((modules[""](whole).logits - modules["a"](whole).logits).abs().max()) > 0.5


def load_voices(folder: Path, kind: str = "llama", **more: Any) -> LocalModel:
    """An engine whose default voice is a."""
    return load_engine(folder, kind, voice=str(folder / f"{kind}-a"), **more)


def voiced(ask: ModelAsk, voice: str) -> ModelAsk:
    return replace(ask, voice=voice) if isinstance(ask, Generate | Choose) else ask


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "mistral"])
def test_any_mix_of_voices_answers_as_each_alone(folder: Path, kind: str) -> None:
    """Over random neighbours, voices, orders, priorities, cancellations and sizes of the cache:
    the same logits within 1e-4 and the same tokens up to the first near-tie as alone; nothing is
    left over."""
    settings_: dict[str, Any] = {"method": "direct", "window": 256}
    model = load_voices(folder, kind, **settings_)
    alone = IsolatedAnswers(load_voices(folder, kind, **settings_))
    names = ["", DEFAULT_VOICE, str(folder / f"{kind}-b")]

    @settings(max_examples=15 if kind == "llama" else 4, deadline=None, derandomize=True)
    @given(st.integers(0, 10**6))
    def crowds(number: int) -> None:
        random = Random(number)
        resize(random, model)
        asks = [voiced(random_ask(random, seed), random.choice(names)) for seed in range(4)]
        beside = [
            voiced(random_ask(random, 1000 + i), random.choice(names))
            for i in range(random.randint(0, 20))
        ]
        crowd = FuzzedEngine(model.engine, random)
        with record_draws() as seen:
            tickets = crowd.play(asks, beside)
        for seed, (ticket, ask) in enumerate(zip(tickets, asks)):
            there, answer = alone.of(ask)
            if isinstance(answer, Choice | Rating):
                given_ = crowd.done[ticket]
                assert isinstance(given_, Choice | Rating)
                assert given_.probabilities == pytest.approx(answer.probabilities, abs=1e-4)
                continue
            agree(there, seen, seed)

    crowds()


@pytest.mark.parametrize("kind", ["llama", "phi3", "mamba"])
def test_exact_runs_are_equal_to_the_bit(folder: Path, kind: str) -> None:
    """With ``exact`` the answers of voices do not depend on what was asked before or beside."""
    names = ["", DEFAULT_VOICE, str(folder / f"{kind}-b")]
    asks = [generate_ask("the baker", seed=i, voice=names[i % 3], max_tokens=20) for i in range(6)]
    with record_draws() as together:
        mixed = answers(load_voices(folder, kind, exact=True), asks)
    model = load_voices(folder, kind, exact=True)
    with record_draws() as reversed_:
        alone = [answers(model, [ask])[0] for ask in reversed(asks)]
    assert mixed == alone[::-1]
    for seed in range(6):
        assert agree(together, reversed_, seed, exact=True) > 0


def test_voices_differ_and_share_no_prefix(folder: Path) -> None:
    """The same prompt with each voice gets other text, also when the others' prefix is cached;
    asked again, each reuses its own."""
    model = unguarded(load_voices(folder))
    text = words(Random(1), 60)
    names = ["", DEFAULT_VOICE, str(folder / "llama-b")]
    asks = [generate_ask(text, temperature=0.0, voice=name) for name in names]
    first = [answers(model, [ask])[0] for ask in asks]
    assert len({one.text for one in first}) == 3
    assert model.engine.stats.reused == 0
    assert [answers(model, [ask])[0] for ask in asks] == first
    assert model.engine.stats.reused > 3 * 60
    assert model.engine.check_invariants() == []


def test_equal_voices_are_one(folder: Path) -> None:
    """The default voice named by its folder is the same adapter with the same cache."""
    model = unguarded(load_voices(folder))
    asks = [
        generate_ask(words(Random(1), 60), temperature=0.0, voice=voice)
        for voice in (DEFAULT_VOICE, str(folder / "llama-a"))
    ]
    one, other = (answers(model, [ask])[0] for ask in asks)
    assert one == other
    assert model.engine.stats.reused > 60


class PairScorer:
    """A decider that asks for given pairs and answers with nothing."""

    def __init__(self, pairs: list[TokenPair]) -> None:
        self.pairs = pairs
        self.sums: dict[TokenPair, float] = {}

    def embed_ahead(self, asks: object) -> None: ...

    def prepare(self, ask: object) -> ScoringPlan:
        def keep(sums: Any) -> Any:
            self.sums = dict(sums)
            return Choice(index=0, probabilities=(1.0,))

        return ScoringPlan(tuple(self.pairs), {}, keep)

    def cache_scores(self, scores: object) -> None: ...


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_a_decision_scores_pairs_of_several_voices(folder: Path, kind: str) -> None:
    """One plan mixes base weights, the default voice and a folder; each pair has the likelihood
    that peft's module gives its target, and pairs that begin alike share a prefix per voice."""
    model = load_voices(folder, kind)
    random = Random(5)
    long, short = [tuple(random.randrange(3, 280) for _ in range(n)) for n in (70, 6)]
    targets = [tuple(random.randrange(3, 280) for _ in range(n)) for n in (3, 9, 1)]
    names = {"": "", DEFAULT_VOICE: "a", str(folder / f"{kind}-b"): "b"}
    pairs = [TokenPair(c, t, v) for c in (long, short) for t in targets for v in names]
    scorer: Any = PairScorer(sorted(pairs))
    model.engine.decider = scorer
    before = model.engine.stats.tokens
    ask = Choose(messages=(), options=(Option("a"),), about="x")
    assert isinstance(answers(model, [ask])[0], Choice)
    if kind == "llama":
        assert model.engine.stats.tokens - before < 3 * (70 + 20 + 3 * 6 + 20)
    for voice, name in names.items():
        module = tuned(folder, kind, name) if name else load_transformers(folder, kind)
        for context in (long, short):
            for target in targets:
                with torch.no_grad():
                    logits = module(torch.tensor([context + target])).logits[0].log_softmax(-1)
                rows = logits[len(context) - 1 : -1]
                wanted = float(rows.gather(1, torch.tensor(target).unsqueeze(1)).sum())
                score = scorer.sums[TokenPair(context, target, voice)]
                assert score == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8"])
@pytest.mark.parametrize("kind", ["llama", "phi3", "mistral"])
def test_other_dtypes_are_close(folder: Path, kind: str, dtype: str) -> None:
    """In bfloat16, float16 and int8 the distribution with a voice is near that in float32, for a
    prompt and for single tokens, and further from that without."""
    if dtype == "float16" and kind == "llama":
        pytest.skip("oneDNN has no float16 on every processor")
    exact = load_voices(folder, kind)
    rough = load_voices(folder, kind, dtype=dtype)
    ids = tuple(Random(2).randrange(3, 280) for _ in range(60))

    def last(model: LocalModel, voice: str) -> torch.Tensor:
        backend = model.engine.backend
        row = TokenSequence(
            list(ids[:50]), 49, 0, (0, 0, 0, 0), None, CacheScope(model.engine.voices.digest(voice))
        )
        assert backend.allocate(row, {})
        rows = []
        with torch.inference_mode():
            for count in (50, *[1] * 10):
                row.ids = list(ids[: row.computed + count])
                rows.append(backend.logits(backend.run([(row, count)]))[-1].softmax(-1))
                row.computed += count
        backend.release(row)
        return torch.stack(rows)

    near = (last(rough, DEFAULT_VOICE) - last(exact, DEFAULT_VOICE)).abs().sum(-1) / 2
    far = (last(rough, DEFAULT_VOICE) - last(exact, "")).abs().sum(-1) / 2
    assert float(near.mean()) < 0.25 * float(far.mean())


def test_rank_stabilized_and_patterned_scales(folder: Path, tmp_path: Path) -> None:
    """alpha / sqrt(rank), and the alphas of single layers, are peft's."""
    voice = write_tiny_voice(
        tmp_path / "llama-a",
        folder / "llama",
        use_rslora=True,
        alpha_pattern={"0.self_attn.q_proj": 9},
        targets=("q_proj", "down_proj"),
    )
    peft = pytest.importorskip("peft")
    module = peft.PeftModel.from_pretrained(load_transformers(folder), str(voice))
    backend = make_backend("llama", load_transformers(folder), CPU, WINDOW)
    adapter = read_adapter(voice)
    backend.add_adapter(adapter)
    ids = list(range(5, 40))
    row = TokenSequence(ids, 0, 0, (0, 0, 0, 0), None, CacheScope(adapter.digest))
    assert backend.allocate(row, {})
    with torch.inference_mode():
        own = backend.logits(backend.run([(row, len(ids))]))
        wanted = module(torch.tensor([ids])).logits[0]
    assert float((own - wanted).abs().max()) < TOLERANCE


def test_describe_names_the_voices(folder: Path) -> None:
    """A run's header tells which voices a model had: none, the default one, further ones."""
    plain = load_engine(folder)
    assert plain.describe()["voice"] is None
    model = load_voices(folder)
    adapter = read_adapter(folder / "llama-a")
    assert model.describe()["voice"] == {"name": "llama-a", "digest": adapter.digest}
    assert "voices" not in model.describe()
    other = str(folder / "llama-b")
    model.load_voice(other)
    assert model.describe()["voices"] == {other: read_adapter(folder / "llama-b").digest}
    assert plain.describe()["digest"] == model.describe()["digest"]


def test_a_model_without_a_default_voice_ignores_the_name(folder: Path) -> None:
    """``default`` asks the base weights where the model was loaded with none, or with "none"."""
    ask = generate_ask("the baker", temperature=0.0)
    for model in (load_engine(folder), load_engine(folder, voice="none")):
        plain, named = (answers(model, [replace(ask, voice=v)])[0] for v in ("", DEFAULT_VOICE))
        assert plain == named


def test_an_ask_with_a_wrong_voice_fails_alone(folder: Path, tmp_path: Path) -> None:
    """The answer is Failed with the folder and the remedy; others are answered."""
    model = load_engine(folder)
    wrong = str(tmp_path / "nowhere")
    asks = [generate_ask("a"), generate_ask("b", voice=wrong)]
    choose = Choose(
        messages=(Message.of("user", "who"),), options=(Option("a"), Option("b")), about="x"
    )
    good, bad, failed = answers(model, [*asks, replace(choose, voice=wrong)])
    assert isinstance(good, Completion)
    for one in (bad, failed):
        assert isinstance(one, Failed)
        assert wrong in one.detail
        assert "denizens train voice" in one.detail
    assert model.engine.check_invariants() == []
    with pytest.raises(ModelNotFound, match="no such folder"):
        model.load_voice(wrong)


def spoil_config(**changes: Any) -> Callable[[Path], object]:
    def spoil(voice: Path) -> None:
        file = voice / "adapter_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**config, **changes}), encoding="utf-8")

    return spoil


def spoil_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    def spoil(voice: Path) -> None:
        from safetensors.torch import load_file, save_file

        file = voice / "adapter_model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file)

    return spoil


def wrong_hash(voice: Path) -> None:
    facts = {"name": "bo", "sha256": {"adapter_model.safetensors": "0" * 64}}
    (voice / "voice.json").write_text(json.dumps(facts), encoding="utf-8")


def as_pickle(voice: Path) -> None:
    (voice / "adapter_model.safetensors").rename(voice / "adapter_model.bin")


FIRST = "base_model.model.model.layers.0.mlp.up_proj.lora_"
DAMAGES: dict[str, tuple[Callable[[Path], object], type[ModelError], str]] = {
    "no config": (lambda v: (v / "adapter_config.json").unlink(), ModelNotFound, "holds no adapt"),
    "no weights": (
        lambda v: (v / "adapter_model.safetensors").unlink(),
        ModelCorrupt,
        "lacks adapter_model.safetensors",
    ),
    "pickle": (as_pickle, ModelCorrupt, "holds adapter_model.bin only"),
    "cut": (
        lambda v: (v / "adapter_model.safetensors").write_bytes(b"\x00" * 40),
        ModelCorrupt,
        "cannot be read",
    ),
    "no json": (
        lambda v: (v / "adapter_config.json").write_text("{", encoding="utf-8"),
        ModelCorrupt,
        "is no JSON",
    ),
    "lfs": (
        lambda v: (v / "adapter_model.safetensors").write_text(
            "version https://git-lfs.github.com/spec/v1", encoding="utf-8"
        ),
        ModelCorrupt,
        "git lfs pull",
    ),
    "hash": (wrong_hash, ModelCorrupt, "differs from what voice.json says"),
    "kind": (spoil_config(peft_type="IA3"), ModelError, "only LORA"),
    "dora": (spoil_config(use_dora=True), ModelError, "use_dora"),
    "modules": (spoil_config(modules_to_save=["lm_head"]), ModelError, "modules_to_save"),
    "bias": (spoil_config(bias="all"), ModelError, "bias"),
    "pissa": (spoil_config(init_lora_weights="pissa"), ModelError, "init_lora_weights"),
    "alpha": (spoil_config(lora_alpha="much"), ModelCorrupt, "no number"),
    "half": (spoil_weights(lambda t: t.pop(FIRST + "A.weight")), ModelCorrupt, "fit together"),
    "rank": (
        spoil_weights(lambda t: t.update({FIRST + "A.weight": torch.ones(3, 64)})),
        ModelCorrupt,
        "fit together",
    ),
    "nan": (
        spoil_weights(lambda t: t[FIRST + "A.weight"].fill_(float("nan"))),
        ModelCorrupt,
        "not finite",
    ),
    "tensor": (
        spoil_weights(lambda t: t.update({"base_model.model.lm_head.weight": torch.ones(3, 64)})),
        ModelError,
        "only the two matrices",
    ),
    "empty": (spoil_weights(lambda t: t.clear()), ModelCorrupt, "holds no weights"),
    "other layers": (
        spoil_weights(
            lambda t: t.update(
                {f"model.layers.7.mlp.up_proj.lora_{p}.weight": torch.ones(2, 2) for p in "AB"}
            )
        ),
        ModelError,
        "layers.7.mlp.up_proj",
    ),
    "other width": (
        spoil_weights(lambda t: t.update({FIRST + "B.weight": torch.ones(99, 4)})),
        ModelError,
        "64 to 99",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_voice_is_refused_at_load(folder: Path, tmp_path: Path, damage: str) -> None:
    """The message names the file and says what is wrong and what to do."""
    spoil, error, text = DAMAGES[damage]
    voice = write_tiny_voice(tmp_path / "bo", folder / "llama")
    spoil(voice)
    with pytest.raises(error, match=text) as caught:
        load_voice_of(folder, voice)
    assert str(voice) in str(caught.value)
    assert ";" in str(caught.value)


def load_voice_of(folder: Path, voice: Path) -> LocalModel:
    model = load_model(
        str(folder / "llama"), embedder=str(folder / "embedder"), voice=str(voice), dtype="float32"
    )
    assert isinstance(model, LocalModel)
    return model


def test_a_voice_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    """A model of other widths: the message names both models and the layer."""
    write_tiny_model(tmp_path / "wide", hidden_size=96)
    voice = write_tiny_voice(tmp_path / "bo", tmp_path / "wide")
    with pytest.raises(ModelError, match="is for a layer of 128 to 96 numbers"):
        load_voice_of(folder, voice)
    with pytest.raises(ModelError, match="does not have"):
        load_engine(folder, "gpt_neox", voice=str(folder / "llama-a"))


def test_the_name_and_the_base_come_from_voice_json(folder: Path, tmp_path: Path) -> None:
    """Files whose hashes are right load; the digest does not depend on the name."""
    from denizens.models.files import file_sha256

    voice = write_tiny_voice(tmp_path / "bo", folder / "llama", seed=1)
    before = read_adapter(voice)
    weights = "adapter_model.safetensors"
    facts = {
        "name": "Bo",
        "base": {"name": "smollm2", "digest": "x"},
        "sha256": {weights: file_sha256(voice / weights)},
    }
    (voice / "voice.json").write_text(json.dumps(facts), encoding="utf-8")
    adapter = read_adapter(voice)
    assert (adapter.name, adapter.base, adapter.digest) == ("Bo", "smollm2", before.digest)
    assert adapter.parameters == sum(
        4 * (out + width) for out, width in linear_shapes(load_transformers(folder)).values()
    )


def test_groups_of_rows() -> None:
    """Adjacent rows of one adapter are one group; rows without are in none."""
    assert row_groups([("", 3)]) == ()
    groups = row_groups([("a", 2), ("a", 1), ("", 1), ("a", 1), ("b", 0), ("b", 2)])
    assert groups == (("a", 0, 3), ("a", 4, 5), ("b", 5, 7))


def test_the_way_of_each_kind(folder: Path) -> None:
    """The kinds above run in all three ways, so each way is tested with voices."""
    ways = {
        type(getattr(backend_of(folder, kind), "decoder", None) or EagerBackend) for kind in KINDS
    }
    assert len(ways) == 3


def test_the_cost_of_voices_is_measured(folder: Path) -> None:
    """``bench engine --part voices``: a ratio for each kind of pass and each share of voices."""
    from denizens.benchmarks.models import measure_engine

    model = str(folder / "llama")
    figures: Any = measure_engine(model, dtype="float32", parts=("voices",), quick=True)["voices"]
    assert set(figures) == {"1_row", "4_rows", "16_rows", "48_rows", "chunk"}
    assert set(figures["4_rows"]) == {"plain_ms", "voice", "base", "other", "mixed"}
    assert all(value > 0 for passes in figures.values() for value in passes.values())
