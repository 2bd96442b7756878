"""Model folders: every tensor in its place or a refusal that names the reason; no code run."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from denizens.core import Completion, Embed, Message, ModelCorrupt, ModelError, Vectors
from denizens.models import Embedder, load_model
from denizens.models.embedders import ImageEmbedder
from denizens.models.files import checked_encoders, read_checkpoint, silence_libraries
from denizens.testing import write_tiny_embedder, write_tiny_model
from denizens.testing.tiny_models import ARCHITECTURES
from denizens.tests.support.tiny_models import answers, generate_ask, load_engine


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama and an embedder, whole."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder / "llama")
    write_tiny_embedder(folder / "embedder")
    return folder


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A copy of the llama, for a test to spoil."""
    shutil.copytree(models / "llama", tmp_path / "model")
    return tmp_path / "model"


def change(path: Path, **fields: Any) -> None:
    """Set fields of a JSON file; ``...`` takes one out."""
    content = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def rewrite(folder: Path, make: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change a folder's tensors."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(make(load_file(path)), path, {"format": "pt"})


def refused(folder: Path, error: type[ModelError] = ModelError) -> str:
    """Why a folder is not loaded; exactly that error."""
    with pytest.raises(ModelError) as caught:
        load_model(str(folder))
    assert caught.type is error
    return str(caught.value)


def test_missing_tensors_are_refused_by_name(folder: Path) -> None:
    """Random numbers never stand in for weights that the file lacks."""
    rewrite(folder, lambda t: {k: v for k, v in t.items() if ".1." not in k})
    text = refused(folder, ModelCorrupt)
    assert "lacks model.layers.1.input_layernorm.weight" in text
    assert "and 5 more" in text
    assert str(folder) in text


def test_renamed_tensors_are_refused_with_their_prefix(folder: Path) -> None:
    """What every name begins with is told, as after a merge that was never made."""
    rewrite(folder, lambda t: {f"base_model.{k}": v for k, v in t.items()})
    assert "every name seems to begin with 'base_model.'" in refused(folder, ModelCorrupt)


def test_tensors_that_would_be_lost_are_refused(folder: Path) -> None:
    """An adapter's tensors among the model's, and tensors of another shape, are told."""
    import torch

    name = "model.layers.0.self_attn.q_proj.lora_A.weight"
    rewrite(folder, lambda t: {**t, name: torch.zeros(4, 64)})
    assert f"has {name}, which the model does not know" in refused(folder, ModelCorrupt)
    wide = torch.ones(70)
    rewrite(
        folder, lambda t: {**{k: v for k, v in t.items() if k != name}, "model.norm.weight": wide}
    )
    text = refused(folder, ModelCorrupt)
    assert "model.norm.weight of shape (70,), not (64,)" in text


def test_leftovers_that_are_no_weights_are_passed_over(folder: Path) -> None:
    """Masks and rotations of older versions, and the eyes of a larger model, change nothing."""
    import torch

    names = (
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.layers.0.self_attn.masked_bias",
        "model.vision_tower.patches.weight",
        "mtp.layers.0.weight",
    )
    plain, _ = read_checkpoint(folder, torch.float32)
    rewrite(folder, lambda t: {**t, **{name: torch.zeros(3) for name in names}})
    model, _ = read_checkpoint(folder, torch.float32)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(model(ids).logits, plain(ids).logits)


@pytest.mark.parametrize("kind", sorted(ARCHITECTURES))
def test_whole_models_of_every_kind_load(tmp_path: Path, kind: str) -> None:
    """The check finds nothing wrong with any architecture as transformers saves it."""
    import torch

    model, _ = read_checkpoint(write_tiny_model(tmp_path / kind, kind=kind), torch.float32)
    assert not model.training


def test_tied_weights_need_no_tensor_of_their_own(tmp_path: Path) -> None:
    """An output layer that is the embedding is not missing; one of its own is."""
    import torch

    read_checkpoint(write_tiny_model(tmp_path / "tied"), torch.float32)
    own = write_tiny_model(tmp_path / "own", tie_word_embeddings=False)
    read_checkpoint(own, torch.float32)
    rewrite(own, lambda t: {k: v for k, v in t.items() if k != "lm_head.weight"})
    assert "lacks lm_head.weight" in refused(own, ModelCorrupt)


def test_an_adapter_names_its_base(folder: Path) -> None:
    """Alone or beside weights, it says of what it is an adapter and how to merge it."""
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "town/large"}')
    text = refused(folder)
    assert "adapter of town/large" in text
    assert "merge_and_unload" in text


def test_other_formats_say_how_to_convert(folder: Path) -> None:
    """Pickled weights are not read; nothing at all, and a shard of the index, are missed."""
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    text = refused(folder)
    assert "pytorch_model.bin" in text
    assert "convert them to safetensors" in text
    (folder / "pytorch_model.bin").rename(folder / "model-00001-of-00002.safetensors")
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = {"weight_map": dict(zip("ab", shards))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks model-00002-of-00002.safetensors" in refused(folder, ModelCorrupt)
    (folder / "model-00001-of-00002.safetensors").unlink()
    assert "holds no weights" in refused(folder, ModelCorrupt)


def test_a_file_of_a_folder_names_the_folder(folder: Path) -> None:
    """A weight file as the name, or GGUF in a folder without other weights: what to name."""
    with pytest.raises(ModelError, match="name the folder that contains it"):
        load_model(str(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(folder / "tiny.gguf")
    assert f"name the file: {folder / 'tiny.gguf'}" in refused(folder)
    (folder / "config.json").unlink()
    assert f"name the file: {folder / 'tiny.gguf'}" in refused(folder, ModelCorrupt)


def test_a_pointer_is_no_file(folder: Path) -> None:
    """A Git LFS pointer in the place of the weights says which command fetches them."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    (folder / "model.safetensors").write_text(pointer)
    assert "git lfs pull" in refused(folder, ModelCorrupt)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"max_position_embeddings": None}, ModelCorrupt, "field 'max_position_embeddings' is wro"),
        ({"hidden_size": "wide"}, ModelCorrupt, "config.json: field 'hidden_size' is wrong"),
        ({"model_type": None}, ModelCorrupt, "config.json: model_type is None"),
        ({"model_type": ...}, ModelCorrupt, "config.json: model_type is None"),
        ({"model_type": "nosuch"}, ModelError, "unknown to the installed transformers"),
        ({"model_type": "vit"}, ModelError, "is a vit model, which is no language model"),
        ({"architectures": ["LlamaForSequenceClassification"]}, ModelError, "writes text"),
    ],
)
def test_a_wrong_configuration_is_told(
    folder: Path, fields: dict[str, Any], error: type[ModelError], message: str
) -> None:
    """File, field and reason, and no traceback of a library."""
    change(folder / "config.json", **fields)
    assert message in refused(folder, error)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_damaged_side_file_is_told(folder: Path, name: str) -> None:
    """transformers would go on without some of them, with other ends and templates."""
    (folder / name).write_text('{"half": ')
    assert str(folder / name) in refused(folder, ModelCorrupt)


def test_a_missing_tokenizer_is_not_made_up(tmp_path: Path, models: Path) -> None:
    """transformers makes one of three tokens for some kinds of model; here it is missed."""
    folder = write_tiny_model(tmp_path / "qwen2", kind="qwen2")
    shutil.copytree(models / "embedder", tmp_path / "embedder")
    for place in (folder, tmp_path / "embedder"):
        (place / "tokenizer.json").unlink()
        change(place / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer", backend=...)
    assert "holds no tokenizer" in refused(folder, ModelCorrupt)
    with pytest.raises(ModelCorrupt, match="holds no tokenizer"):
        embedder(tmp_path / "embedder")


def test_models_that_write_no_text_are_refused(models: Path, tmp_path: Path) -> None:
    """An encoder is none, and an encoder-decoder is not supported: each by its own reason."""
    text = refused(models / "embedder")
    assert "is an encoder (bert)" in text
    import transformers

    library: Any = transformers
    library.T5Config(vocab_size=64, d_model=16, num_layers=1).save_pretrained(str(tmp_path / "t5"))
    shutil.copy(models / "llama" / "model.safetensors", tmp_path / "t5")
    assert "is an encoder-decoder (t5), not supported" in refused(tmp_path / "t5")


def test_a_folders_code_is_never_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of a model, a tokenizer or a generate function: no question, no run, a refusal or
    the library's own class."""
    marker = folder / "ran"
    code = f"open({str(marker)!r}, 'w').close()\n"
    for name in ("configuration_own.py", "modeling_own.py", "tokenization_own.py"):
        (folder / name).write_text(code)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(code)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    classes = {"AutoConfig": "configuration_own.Own", "AutoModelForCausalLM": "modeling_own.Own"}
    change(folder / "config.json", auto_map=classes)
    load_model(str(folder))  # a llama by its model_type: the library's own class serves
    change(folder / "config.json", model_type="own")
    text = refused(folder)
    assert "code in the folder" in text
    change(folder / "config.json", model_type="llama", auto_map=...)
    change(
        folder / "tokenizer_config.json",
        tokenizer_class="OwnTokenizer",
        auto_map={"AutoTokenizer": ["tokenization_own.Own", None]},
    )
    assert "the tokenizer needs code" in refused(folder)
    assert not marker.exists()


def test_an_embedders_code_is_never_run(models: Path, tmp_path: Path) -> None:
    """A module class of the folder's own is refused."""
    shutil.copytree(models / "embedder", tmp_path / "own")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "modeling_own.Own"}]
    (tmp_path / "own" / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "own" / "modeling_own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError, match="never run"):
        embedder(tmp_path / "own")
    assert not (tmp_path / "ran").exists()


def embedder(folder: Path) -> Embedder:
    """One on the CPU."""
    import torch

    return Embedder(folder, torch.device("cpu"))


def test_an_embedder_needs_all_its_tensors(models: Path, tmp_path: Path) -> None:
    """Only the pooling layer, which is not used, may be missing; a head may be left over."""
    import torch

    shutil.copytree(models / "embedder", tmp_path / "e")
    rewrite(tmp_path / "e", lambda t: {k: v for k, v in t.items() if "pooler" not in k})
    rewrite(tmp_path / "e", lambda t: {**t, "cls.predictions.bias": torch.zeros(3)})
    assert embedder(tmp_path / "e").vectors(["bread"]).shape == (1, 32)
    extra = "encoder.layer.0.attention.self.query.lora_A.weight"
    rewrite(tmp_path / "e", lambda t: {**t, extra: torch.zeros(3)})
    with pytest.raises(ModelCorrupt, match="lora_A"):
        embedder(tmp_path / "e")
    rewrite(tmp_path / "e", lambda t: {k: v for k, v in t.items() if "encoder" not in k})
    with pytest.raises(ModelCorrupt, match=r"lacks encoder\.layer\.0"):
        embedder(tmp_path / "e")


def test_what_sentence_transformers_loads_is_checked_too(models: Path, tmp_path: Path) -> None:
    """The library's own loading, for other poolings and for pictures, misses no tensor either."""
    shutil.copytree(models / "embedder", tmp_path / "e")
    types = ("Transformer", "Pooling")
    modules = [
        {"idx": i, "name": str(i), "path": "" if not i else "1_Pooling",
         "type": f"sentence_transformers.models.{name}"}
        for i, name in enumerate(types)
    ]  # fmt: skip
    (tmp_path / "e" / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "e" / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_max_tokens": True}
    pooling["pooling_mode_mean_tokens"] = False
    (tmp_path / "e" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert embedder(tmp_path / "e").vectors(["bread"]).shape == (1, 32)
    rewrite(tmp_path / "e", lambda t: {k: v for k, v in t.items() if "query" not in k})
    with pytest.raises(ModelCorrupt, match=r"lacks .*query"):
        embedder(tmp_path / "e")
    with pytest.raises(ModelCorrupt, match=r"lacks .*query"):
        ImageEmbedder(tmp_path / "e")
    change(tmp_path / "e" / "config.json", hidden_size="wide")
    with pytest.raises(ModelCorrupt, match=r"config\.json: field 'hidden_size' is wrong"):
        embedder(tmp_path / "e")


def test_a_digest_covers_what_changes_answers(models: Path, folder: Path) -> None:
    """Another chat template or configuration is another model."""
    same = load_engine(models).describe()["digest"]
    shutil.copytree(models / "embedder", folder.parent / "embedder")
    assert load_engine(folder.parent, "model").describe()["digest"] == same
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    assert load_engine(folder.parent, "model").describe()["digest"] != same


def test_a_model_without_an_end_is_refused(folder: Path) -> None:
    """No token ends an answer: the file and the setting to mend are named."""
    unend(folder)
    text = refused(folder)
    assert "names no token that ends an answer" in text
    assert "eos_token in its tokenizer_config.json" in text


def unend(folder: Path) -> None:
    """Take out every token that could end an answer."""
    (folder / "chat_template.jinja").unlink()
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for token in tokenizer["added_tokens"]:
        token["content"] = token["content"].replace("<|im_end|>", "<a>").replace("<|endof", "<b")
    vocabulary = tokenizer["model"]["vocab"]
    for old, new in (("<|im_end|>", "<a>"), ("<|endoftext|>", "<btext|>")):
        vocabulary[new] = vocabulary.pop(old)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    gone = dict.fromkeys(("eos_token", "pad_token", "unk_token"), ...)
    change(folder / "tokenizer_config.json", **gone)
    for name in ("config.json", "generation_config.json"):
        change(folder / name, eos_token_id=None, pad_token_id=None)


def test_models_may_be_loaded_in_several_threads(models: Path) -> None:
    """What is set in the libraries while one loads is set back, whoever loads beside it."""
    from concurrent.futures import ThreadPoolExecutor

    import transformers

    library: Any = transformers
    before = library.PreTrainedModel.__dict__["from_pretrained"]

    def load(_: int) -> Any:
        with silence_libraries(), checked_encoders("tiny"):
            return library.AutoModel.from_pretrained(str(models / "embedder"))

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(load, range(8)))) == 8
    assert library.PreTrainedModel.__dict__["from_pretrained"] is before


def test_half_a_character_is_replaced(models: Path) -> None:
    """Half an emoji, from a cut JSON string, is read as the replacement character."""
    model = load_engine(models)
    bad, good = "bread \ud83c town", "bread \ufffd town"
    ids = [model.prompt_builder.ids((Message.of("user", text),)) for text in (bad, good)]
    assert ids[0] == ids[1]
    whole = "\U0001f35e"
    halves = whole.encode("utf-16", "surrogatepass").decode("utf-16-le", "surrogatepass")[1:]
    assert model.prompt_builder.text_ids(halves) == model.prompt_builder.text_ids(whole)
    found = answers(model, [generate_ask(bad), Embed(texts=(bad, good))])
    assert isinstance(found[0], Completion)
    assert isinstance(found[1], Vectors)
    rows = found[1].array()
    assert (rows[0] == rows[1]).all()


def test_what_the_command_line_takes_load_model_takes() -> None:
    """The double has one name everywhere; settings that mean nothing to it are refused."""
    assert load_model("improvised").describe()["name"] == "improvised"
    with pytest.raises(Exception, match="window '64' is no setting of 'improvised'"):
        load_model("improvised", window=64)


def test_a_folder_above_a_model_names_it(folder: Path) -> None:
    """A download's cache or a training's output: the folder that is meant stands below."""
    above = folder.parent / "out"
    shutil.copytree(folder, above / "snapshots" / "abc")
    assert refused(above, ModelCorrupt).endswith(f"the folder that does: {above}/snapshots/abc")


def test_weights_under_another_name_are_told(folder: Path) -> None:
    """Parts without their index."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    assert "neither model.safetensors nor model.safetensors.index" in refused(folder, ModelCorrupt)


def test_an_end_that_is_no_number_is_told(folder: Path) -> None:
    """In the generation's configuration, which transformers does not check."""
    (folder / "generation_config.json").write_text('{"eos_token_id": "</s>"}')
    assert "eos_token_id is '</s>' in its generation_config.json" in refused(folder, ModelCorrupt)


def test_an_embedder_makes_numbers_or_is_refused(models: Path, tmp_path: Path) -> None:
    """A reranker is no embedder, damaged weights make no vectors, a tokenizer without a token
    for padding serves, and an empty text is zeros."""
    import torch

    whole, cpu = models / "embedder", torch.device("cpu")
    empty = Embedder(whole, cpu).vectors([""])
    assert not empty.any()
    cases = {name: tmp_path / name for name in ("judge", "unpadded", "damaged")}
    for case in cases.values():
        shutil.copytree(whole, case)
    change(cases["judge"] / "config.json", architectures=["BertForSequenceClassification"])
    with pytest.raises(ModelError, match="which judges texts"):
        Embedder(cases["judge"], cpu)
    change(cases["unpadded"] / "tokenizer_config.json", pad_token=...)
    assert len(Embedder(cases["unpadded"], cpu).vectors(["a", "the baker of the town"])) == 2
    rewrite(cases["damaged"], lambda tensors: {k: t * float("nan") for k, t in tensors.items()})
    with pytest.raises(ModelCorrupt, match="vectors with NaN"):
        Embedder(cases["damaged"], cpu).vectors(["the baker"])
