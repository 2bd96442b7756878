"""Which way each architecture is run, and that each says what its own module says."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import torch
from denizens.core import (
    Choice,
    Choose,
    Completion,
    Message,
    ModelAsk,
    Option,
    Rate,
    Rating,
    SettingError,
)
from denizens.models.engine import make_backend
from denizens.models.engine.backend_factory import PROBE, supports_prefix_cache
from denizens.models.engine.backends import EagerBackend, PrefixCacheBackend, min_cache_tokens
from denizens.models.engine.decoder import FusedDecoder, TransformersDecoder
from denizens.models.engine.request import TokenSequence
from denizens.testing import write_tiny_model
from denizens.testing.tiny_models import ARCHITECTURES
from denizens.tests.support.engine_fuzzer import words
from denizens.tests.support.tiny_models import (
    TOLERANCE,
    answers,
    generate_ask,
    load_engine,
    load_transformers,
    unguarded,
    write,
)

if TYPE_CHECKING:
    from denizens.models.engine.backends import Backend

LEAN = ("llama", "qwen2", "qwen3")
MODULE = ("gpt_neox", "phi3", "granite")
PLAIN = ("mistral", "gemma2", "bloom", "mamba", "recurrent_gemma")
WINDOW = 512
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of every kind."""
    assert set(LEAN + MODULE + PLAIN) == set(ARCHITECTURES)
    return write(tmp_path_factory.mktemp("tiny"), *ARCHITECTURES)


def way(keeper: Backend) -> type:
    """Lean layers, the module, or the model as it is."""
    return type(keeper.decoder) if isinstance(keeper, PrefixCacheBackend) else type(keeper)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_each_architecture_is_run_in_its_way(folder: Path, kind: str) -> None:
    """Llama-like models by lean layers, other attention by the module, and what cannot be cut,
    soft-capped attention and biases by distance by the model's own cache."""
    expected = (
        FusedDecoder if kind in LEAN else TransformersDecoder if kind in MODULE else EagerBackend
    )
    assert way(make_backend(kind, load_transformers(folder, kind), CPU, WINDOW)) is expected


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_greedy_text_is_that_of_generate(folder: Path, kind: str) -> None:
    """With nothing to keep it from looping, each writes what transformers' ``generate`` writes,
    several at a time, longer than any sliding window."""
    model = unguarded(load_engine(folder, kind))
    module = load_transformers(folder, kind)
    asks = [
        generate_ask(words(Random(i), 5 + 12 * i), max_tokens=40, temperature=0.0, seed=i)
        for i in range(3)
    ]
    for ask, answer in zip(asks, answers(model, asks)):
        ids = list(model.prompt_builder.ids(ask.messages))
        with torch.no_grad():
            found = module.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones((1, len(ids)), dtype=torch.long),
                max_new_tokens=40,
                do_sample=False,
                # An engine's line is never empty; it does not begin with the end.
                begin_suppress_tokens=sorted(model.generation_config.stop_tokens),
                suppress_tokens=list(model.generation_config.suppressed_tokens),
            )[0, len(ids) :].tolist()
        ended = [
            at for at, token in enumerate(found) if token in model.generation_config.stop_tokens
        ]
        assert answer.text == model.generation_config.text(found[: ended[0]] if ended else found)
        assert answer.stopped == ("end" if ended else "limit")


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_logits_are_the_modules_own(folder: Path, kind: str) -> None:
    """Not only the likeliest token: caps, scales and factors behind the head are there too. Of
    a prompt, of tokens after it, and of two sequences in turn."""
    keeper = make_backend(kind, load_transformers(folder, kind), CPU, WINDOW)
    module = load_transformers(folder, kind)
    random = Random(3)
    rows = []
    for _ in range(2):
        ids = [random.randrange(3, 280) for _ in range(50)]
        rows.append((TokenSequence(ids[:40], 20, 0, (0, 0, 0, 0), None), ids))
    for row, _ in rows:
        assert keeper.allocate(row, {})
    for count in (40, 1, 1, 5, 3):
        for row, ids in rows:
            row.ids = ids[: row.computed + count]
            with torch.inference_mode():
                own = keeper.logits(keeper.run([(row, count)]))
            with torch.no_grad():
                wanted = module(torch.tensor([row.ids]), use_cache=False).logits[0]
            assert len(own) == row.wanted_count(count) == min(count, 20)
            assert float((own - wanted[-len(own) :]).abs().max()) < TOLERANCE
            row.computed += count


@pytest.mark.parametrize("kind", ["mistral", "gemma2", "mamba", "recurrent_gemma"])
def test_models_that_cannot_be_cut_answer_everything(folder: Path, kind: str) -> None:
    """Text, choices and ratings, together and one by one alike."""
    model = load_engine(folder, kind, method="direct")
    message = (Message.of("user", words(Random(1), 40)),)
    options = (Option("bread"), Option("the town"), Option("a baker by the town"))
    asks: list[ModelAsk] = [
        generate_ask("one", seed=1),
        Choose(messages=message, options=options, about="what"),
        Rate(messages=message, about="what", low=1, high=5),
        generate_ask("two", seed=2, temperature=0.0),
    ]
    found = answers(model, asks)
    assert [type(one) for one in found] == [Completion, Choice, Rating, Completion]
    assert found[0::3] == [answers(model, [one])[0] for one in asks[0::3]]
    for one, other in zip(
        found[1:3], answers(load_engine(folder, kind, method="direct"), asks[1:3])
    ):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert model.engine.check_invariants() == []


def test_a_recurrent_state_costs_one_pass_a_token(folder: Path) -> None:
    """A model that goes on from its state reads its prompt once; one that keeps its state to
    itself, where another sequence would find it, reads its text at every token."""
    for kind, goes_on in (("mamba", True), ("mistral", True), ("recurrent_gemma", False)):
        model = load_engine(folder, kind)
        keeper: Any = model.engine.backend
        assert keeper.reuses_state is goes_on
        real = keeper._model.forward
        sizes: list[int] = []

        def forward(*args: Any, sizes: Any = sizes, real: Any = real, **more: Any) -> Any:
            sizes.append(more["input_ids"].shape[1])
            return real(*args, **more)

        keeper._model.forward = forward
        (answer,) = answers(model, [generate_ask("the baker", max_tokens=6, seed=4)])
        prompt = answer.tokens_in
        later = [1] * 5 if goes_on else [prompt + i for i in range(1, 6)]
        assert sizes == [prompt, *later]


@pytest.mark.parametrize("kind", LEAN)
@pytest.mark.parametrize("wrong", ["eps", "scale", "rotation", "bias", "order"])
def test_a_wrong_lean_trunk_is_refused(
    folder: Path, kind: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lean layers that do not give the module's numbers are not used; the module is."""
    real = FusedDecoder.__init__

    def perturbed(self: Any, model: Any, **more: Any) -> None:
        real(self, model, **more)
        if wrong == "eps":
            self._eps = 0.5
        elif wrong == "scale":
            from dataclasses import replace

            self.shape = replace(self.shape, scale=self.shape.scale * 1.2)
        elif wrong == "rotation":
            self._rotary = lambda x, places: [
                torch.ones((*places.shape, self.shape.head_size)) * number for number in (1.0, 0.0)
            ]
        elif wrong == "bias":
            self._norm = self._norm + 0.1
        else:
            self._layers = self._layers[::-1]

    monkeypatch.setattr(FusedDecoder, "__init__", perturbed)
    assert (
        way(make_backend(kind, load_transformers(folder, kind), CPU, WINDOW)) is TransformersDecoder
    )


def test_a_wrong_module_trunk_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the module with our attention does not agree either, the model runs as it is, with
    the attention it came with."""
    real = TransformersDecoder.logits
    monkeypatch.setattr(
        TransformersDecoder, "logits", lambda self, hidden: real(self, hidden + 0.3)
    )
    model = load_transformers(folder, "gpt_neox")
    before = model.config._attn_implementation
    assert way(make_backend("x", model, CPU, WINDOW)) is EagerBackend
    assert model.config._attn_implementation == before != TransformersDecoder.NAME


@pytest.mark.parametrize(
    ("kind", "settings", "window", "expected"),
    [
        ("mistral", {"sliding_window": 512}, 512, FusedDecoder),
        ("mistral", {"sliding_window": 511}, 512, EagerBackend),
        ("mistral", {"sliding_window": 24}, 24, FusedDecoder),
        ("mistral", {"sliding_window": None}, 512, FusedDecoder),
        ("phi3", {"sliding_window": 512}, 512, TransformersDecoder),
        ("phi3", {"sliding_window": 100}, 512, EagerBackend),
        ("llama", {"hidden_act": "gelu"}, 512, TransformersDecoder),
        ("llama", {"attention_bias": True, "mlp_bias": True}, 512, FusedDecoder),
        ("llama", {"num_key_value_heads": 4}, 512, FusedDecoder),
        ("llama", {"num_key_value_heads": 1}, 512, FusedDecoder),
        ("llama", {"tie_word_embeddings": False}, 512, FusedDecoder),
        ("qwen3", {"head_dim": 32}, 512, FusedDecoder),
    ],
)
def test_settings_decide_too(
    tmp_path: Path, kind: str, settings: dict[str, Any], window: int, expected: type
) -> None:
    """A sliding window matters where it is shorter than the context in use; a lean trunk is for
    what it can do; and whatever is chosen gives the module's logits."""
    write_tiny_model(tmp_path / kind, kind=kind, **settings)
    keeper = make_backend(kind, load_transformers(tmp_path, kind), CPU, window)
    assert way(keeper) is expected
    ids = [Random(1).randrange(3, 280) for _ in range(window - 10)]
    row = TokenSequence(ids, len(ids) - 3, 0, (0, 0, 0, 0), None)
    assert keeper.allocate(row, {})
    with torch.inference_mode():
        own = keeper.logits(keeper.run([(row, len(ids))]))
        wanted = load_transformers(tmp_path, kind)(torch.tensor([ids]), use_cache=False).logits[
            0, -3:
        ]
    assert float((own - wanted).abs().max()) < TOLERANCE


def test_rotations_that_change_with_the_length_are_not_shared(tmp_path: Path) -> None:
    """Phi's long rotations turn all tokens of a pass once one stands beyond the original
    length: such a model runs row by row, unless its window ends before."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 8,
        "long_factor": [3.0] * 8,
        "original_max_position_embeddings": 64,
    }
    more: dict[str, Any] = {"rope_parameters": rope, "original_max_position_embeddings": 64}
    write(tmp_path, "phi3", **more)
    model = load_transformers(tmp_path, "phi3")
    assert supports_prefix_cache(model, model.config, 64)
    assert not supports_prefix_cache(model, model.config, 65)
    engine = load_engine(tmp_path, "phi3")
    short, long = generate_ask("bread", seed=1), generate_ask(words(Random(2), 120), seed=2)
    alone = answers(engine, [short])
    assert answers(engine, [long, short])[1:] == alone


def test_too_small_a_cache_is_a_setting_error(folder: Path) -> None:
    """The message says how many megabytes one answer needs; with those it loads."""
    write_tiny_model(
        folder / "wide", num_hidden_layers=24, hidden_size=256, max_position_embeddings=4096
    )
    for kind in ("wide", "mamba"):
        with pytest.raises(SettingError, match=f"cache_mb = 0 is too small for '{kind}'") as told:
            make_backend(kind, load_transformers(folder, kind), CPU, WINDOW, cache_mb=0)
        needed = int(str(told.value).split(" tokens takes ")[1].split(" MB")[0])
        keeper: Any = make_backend(
            kind, load_transformers(folder, kind), CPU, WINDOW, cache_mb=needed
        )
        if isinstance(keeper, PrefixCacheBackend):
            assert keeper.limit >= min_cache_tokens(WINDOW)
            with pytest.raises(SettingError, match=f"takes {needed} MB"):
                make_backend(
                    kind, load_transformers(folder, kind), CPU, WINDOW, cache_mb=needed - 1
                )
        else:
            assert keeper.limit >= keeper.state_bytes(WINDOW)


@pytest.mark.parametrize("kind", ["mistral", "mamba"])
def test_states_are_bounded_too(folder: Path, kind: str) -> None:
    """Models with caches of their own keep to a limit: others wait or are sent back, and are
    answered as if alone. The size of a state is as expected of its length."""
    model = load_engine(folder, kind)
    keeper: Any = model.engine.backend
    asks = [generate_ask(words(Random(i), 10 + i), seed=i, max_tokens=60) for i in range(10)]
    wanted = [answers(model, [one])[0] for one in asks]
    keeper.limit = 3 * keeper.state_bytes(100)
    most = 0
    client = model.client()
    tickets = [client.submit(one) for one in asks]
    found: dict[int, Any] = {}
    while client.open:
        for event in client.wait(0.02):
            found[event.ticket] = event.answer  # type: ignore[union-attr]
        assert sum(keeper._reserved.values()) <= keeper.limit
        assert model.engine.check_invariants() == []
        most = max(most, len(model.engine.scheduler.running))
    assert [found[ticket] for ticket in tickets] == wanted
    assert 1 < most < 10
    assert model.engine.scheduler.preempted > (0 if kind == "mistral" else -1)
    from denizens.models.engine.backends import _tensor_bytes

    state = keeper._forward([*PROBE] * 2, 0, None, 1)[1]
    assert keeper.state_bytes(24) == pytest.approx(_tensor_bytes(state), rel=0.1)
