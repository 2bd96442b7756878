"""GGUF files: read once, kept by content, refused by name where something is missing."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from denizens.cli import main
from denizens.core import ModelCorrupt, ModelError
from denizens.models import cache_home, conversions, load_model
from denizens.models.files import gguf as gguf_cache
from denizens.models.files import read_gguf
from denizens.models.files.gguf import conversion_folder
from denizens.testing import write_tiny_embedder

WIDE = 64


def shapes(words: int) -> dict[str, tuple[int, ...]]:
    """Of the model's tensors, by their names in the file."""
    layer = {
        "attn_norm": (WIDE,),
        "ffn_norm": (WIDE,),
        "attn_q": (WIDE, WIDE),
        "attn_k": (WIDE // 2, WIDE),
        "attn_v": (WIDE // 2, WIDE),
        "attn_output": (WIDE, WIDE),
        "ffn_gate": (128, WIDE),
        "ffn_up": (128, WIDE),
        "ffn_down": (WIDE, 128),
    }
    both = {f"blk.{i}.{name}.weight": shape for i in (0, 1) for name, shape in layer.items()}
    return {"token_embd.weight": (words, WIDE), "output_norm.weight": (WIDE,), **both}


def write(
    path: Path,
    *,
    architecture: str = "llama",
    words: int = 300,
    without: Collection[str] = (),
    more: dict[str, Any] | None = None,
    kind: str = "F32",
    part: str = "model",
    header: Callable[[Any], None] = lambda file: None,
) -> Path:
    """A two-layer model with byte-level tokens; the file. The vocabulary's size stands nowhere
    but in its length, as in most files."""
    import gguf
    from gguf.quants import quantize

    file = gguf.GGUFWriter(str(path), architecture)
    file.add_name("tiny")
    file.add_type(part)
    file.add_context_length(512)
    file.add_embedding_length(WIDE)
    file.add_block_count(2)
    file.add_feed_forward_length(128)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_layer_norm_rms_eps(1e-6)
    file.add_rope_freq_base(10000.0)
    file.add_tokenizer_model("gpt2")
    tokens = ["<s>", "</s>", *"t1", "t1", *(f"w{i}" for i in range(words - 5))]
    file.add_token_list(tokens)
    file.add_token_types([3, 3] + [1] * (words - 2))
    file.add_token_merges(["t 1"])
    file.add_bos_token_id(0)
    file.add_eos_token_id(1)
    header(file)
    random = np.random.default_rng(0)
    own = gguf.GGMLQuantizationType[kind]
    for name, shape in shapes(words).items():
        array = (random.standard_normal(shape) * 0.1).astype(np.float32)
        if name in without:
            continue
        if len(shape) == 2 and kind != "F32":
            file.add_tensor(name, quantize(array, own), raw_dtype=own)
        else:
            file.add_tensor(name, array)
    for name, array in (more or {}).items():
        file.add_tensor(name, np.asarray(array, np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("DENIZENS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(path: Path) -> tuple[Any, Any, str]:
    """In float32."""
    import torch

    return read_gguf(path, torch.float32, lambda *_: None)


def test_a_file_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second load takes what the first stored, found by the content and not by the name."""
    path = write(tmp_path / "a.gguf")
    first, tokenizer, digest = read(path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()

    def convert(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(gguf_cache, "gguf_to_folder", convert)
    second, again, _ = read(path.rename(tmp_path / "b.gguf"))
    for name, tensor in first.state_dict().items():
        assert bool((second.state_dict()[name] == tensor).all())
    assert tokenizer("t1 t").input_ids == again("t1 t").input_ids
    write_tiny_embedder(tmp_path / "embedder")
    model = load_model(str(tmp_path / "b.gguf"), embedder=str(tmp_path / "embedder"))
    assert model.describe()["digest"] == digest


def test_the_numbers_are_the_files(tmp_path: Path) -> None:
    """Whole numbers of the file arrive unchanged, quantised ones within float16."""
    import gguf
    from gguf import dequantize

    for kind, apart in (("F32", 0.0), ("BF16", 0.0), ("F16", 0.0), ("Q8_0", 1e-3), ("Q4_1", 1e-3)):
        path = write(tmp_path / f"{kind}.gguf", kind=kind)
        model, _, _ = read(path)
        tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(str(path)).tensors}
        wanted = tensors["token_embd.weight"]
        expected = dequantize(wanted.data, wanted.tensor_type)
        found = model.get_input_embeddings().weight.detach().numpy()
        assert float(np.abs(found - expected).max()) <= apart * float(np.abs(expected).max())


def test_the_header_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader is made, and it steps over the vocabulary, whose length is the model's size."""
    import gguf

    made: list[int] = []
    plain = gguf.GGUFReader.__init__

    def count(self: Any, *args: Any) -> None:
        plain(self, *args)
        made.append(max(len(field.data) for field in self.fields.values()))

    monkeypatch.setattr(gguf.GGUFReader, "__init__", count)
    model, tokenizer, _ = read(write(tmp_path / "a.gguf", words=6000))
    assert len(made) == 1
    assert made[0] < 10
    assert model.config.vocab_size == 6000
    assert tokenizer("t").input_ids == [2]


def test_a_damaged_conversion_is_made_again(tmp_path: Path) -> None:
    """What was made of a file is no loss: cut weights give way to whole ones."""
    path = write(tmp_path / "a.gguf")
    _, _, digest = read(path)
    weights = conversion_folder(digest) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:900])
    read(path)
    assert weights.read_bytes() == whole
    assert [child.name for child in (cache_home() / "models" / "gguf").iterdir()] == [
        weights.parent.name
    ]


def test_a_conversion_that_breaks_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted half way, no folder is found by the next load."""

    def half(_: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise KeyboardInterrupt

    path = write(tmp_path / "a.gguf")
    monkeypatch.setattr(gguf_cache, "gguf_to_folder", half)
    with pytest.raises(KeyboardInterrupt):
        read(path)
    assert list((cache_home() / "models" / "gguf").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model loads all the same, every time anew, with the same numbers."""
    path = write(tmp_path / "a.gguf", kind="Q8_0")
    cache.write_text("a file where the folder would be")
    model, _, _ = read(path)
    monkeypatch.setenv("DENIZENS_HOME", str(tmp_path / "other"))
    for name, tensor in read(path)[0].state_dict().items():
        assert bool((model.state_dict()[name] == tensor).all())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"without": ["blk.1.ffn_up.weight"]}, ModelCorrupt, "model.layers.1.mlp.up_proj.weight"),
        ({"more": {"blk.0.ffn_up.lora_a": np.ones((4, 64))}}, ModelCorrupt, "blk.0.ffn_up.lora_a"),
        ({"without": ["output_norm.weight"]}, ModelCorrupt, "lacks or misnames.*model.norm"),
        ({"architecture": "nosuch"}, ModelError, "architecture nosuch.*llamacpp:"),
        ({"architecture": "t5"}, ModelError, r"is an encoder-decoder \(t5\), not supported"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(
    tmp_path: Path, settings: dict[str, Any], error: type[ModelError], message: str
) -> None:
    """With the names of the tensors, or the kind of model and another way; nothing is stored."""
    with pytest.raises(ModelError, match=message) as caught:
        read(write(tmp_path / "a.gguf", **settings))
    assert caught.type is error
    assert conversions() == {}


def test_parts_of_models_are_told(tmp_path: Path) -> None:
    """One of several files, and an adapter, are no whole model; the way to one is named."""
    with pytest.raises(ModelError, match=r"one of several parts.*gguf-split"):
        read(write(tmp_path / "a-00001-of-00002.gguf"))
    with pytest.raises(ModelError, match=r"part of a model \(adapter\)"):
        read(write(tmp_path / "b.gguf", part="adapter"))


def llama_factors(factor: float, base: float = 10000.0, half: int = 8) -> list[float]:
    """What the writers of GGUF files make of the scaling of Llama 3.1."""
    factors = []
    for place in range(half):
        length = 2 * np.pi * base ** (place / half)
        if length < 8192 / 4:
            factors.append(1.0)
        elif length > 8192:
            factors.append(factor)
        else:
            smooth = (8192 / length - 1) / 3
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def test_scaled_rotations_are_read_or_warned_of(tmp_path: Path) -> None:
    """The factors of Llama 3.1 become its configuration; others that are not used are told."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        factors = llama_factors(32.0)
        model, _, _ = read(write(tmp_path / "a.gguf", more={"rope_freqs.weight": factors}))
    scaling = model.config.rope_parameters
    assert (scaling["rope_type"], scaling["factor"]) == ("llama3", 32.0)
    plain = 10000.0 ** -(np.arange(8) / 8)
    rotations = model.model.rotary_emb.inv_freq.numpy()
    assert np.allclose(rotations, plain / factors, rtol=1e-4)
    with pytest.warns(UserWarning, match=r"b\.gguf.*rope_freqs\.weight.*not used"):
        read(write(tmp_path / "b.gguf", more={"rope_freqs.weight": [2.0] * 8}))


def test_conversions_are_listed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line shows what lies in the cache, and frees its room."""

    def told(*words: str) -> str:
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["models", *words])
        return capsys.readouterr().out

    read(write(tmp_path / "a.gguf"))
    assert json.loads(told("--json"))["converted"] == ["a.gguf"]
    assert "denizens models remove a.gguf" in told()
    assert "conversion removed" in told("remove", str(tmp_path / "a.gguf"))
    assert conversions() == {}
    assert "was not there" in told("remove", "a.gguf")


def test_the_header_is_read_whole(tmp_path: Path) -> None:
    """Scaling of rotations, the tokens that end a turn, and BOS: transformers passes over them."""
    import gguf

    def yarn(file: Any) -> None:
        file.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        file.add_rope_scaling_factor(4.0)
        file.add_rope_scaling_orig_ctx_len(128)
        file.add_eot_token_id(2)
        file.add_add_bos_token(True)

    def linear(file: Any) -> None:
        file.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        file.add_rope_scaling_factor(2.0)

    model, tokenizer, _ = read(write(tmp_path / "yarn.gguf", header=yarn))
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
    assert scaling.items() <= model.config.rope_parameters.items()
    assert model.generation_config.eos_token_id == [1, 2]
    assert tokenizer("t1").input_ids[0] == 0
    model, tokenizer, _ = read(write(tmp_path / "linear.gguf", header=linear))
    assert {"rope_type": "linear", "factor": 2.0}.items() <= model.config.rope_parameters.items()
    assert tokenizer("t1").input_ids[0] != 0


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """A GGUF file without the ending is read; a pointer to one says what to run."""
    write_tiny_embedder(tmp_path / "embedder")
    blob = write(tmp_path / "whole.gguf").rename(tmp_path / "sha256-abc")
    load_model(str(blob), embedder=str(tmp_path / "embedder"))
    (tmp_path / "pointer.gguf").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelCorrupt, match="git lfs pull"):
        read(tmp_path / "pointer.gguf")


def test_heads_may_be_wider_than_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads whose width stands in the header, as Mistral Nemo's, are read by it."""
    usual = shapes(300)
    wide = {"attn_q": (128, WIDE), "attn_k": (WIDE, WIDE), "attn_v": (WIDE, WIDE)}
    wide["attn_output"] = (WIDE, 128)
    own = {name: wide.get(name.split(".")[-2], shape) for name, shape in usual.items()}
    monkeypatch.setitem(globals(), "shapes", lambda words: own)
    path = write(tmp_path / "wide.gguf", header=lambda file: file.add_key_length(32))
    assert read(path)[0].config.head_dim == 32
