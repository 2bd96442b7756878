"""Model folders in transformers' format, read only if every tensor is there.

Code in a folder is never run, and no question is asked on stdin.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any

from ...core import Json, ModelCorrupt, ModelError, read_text_file

MAX_NAMED = 4  # names that a message lists
LFS_POINTER = b"version https://git-lfs"
OTHER_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx")
VOCABULARIES = ("tokenizer.json", "*.model", "*vocab*", "*.tiktoken", "tekken.json", "*.spm")
BYTE_VOCABULARY = 256  # a tokenizer of bytes has no file
# Classes with these suffixes generate no text, whatever their model type.
NON_GENERATIVE_SUFFIXES = (
    "Classification",
    "MaskedLM",
    "QuestionAnswering",
    "Model",
    "RewardModel",
    "PreTraining",
)
GENERATIVE_SUFFIXES = (
    "ForCausalLM",
    "LMHeadModel",
    "ForConditionalGeneration",
    "Decoder",
    "WithLMHead",
)
# Tensors of older versions of transformers that are no weights (masks, positions, rotations), and
# parts of larger models that text generation does not use.
IGNORED_TENSORS = re.compile(
    r"\.(?:attn|attention|self_attn)\.(?:bias|masked_bias|causal_mask)$"
    r"|\.rotary_emb\.inv_freq$|\.embed_positions\.weights$|(?:^|\.)position_ids$"
    r"|(?:^|\.)(?:vision_model|vision_tower|visual|audio_tower|multi_modal_projector|mtp)\."
)
# For settings of the process that are changed while a model loads and must be restored in order.
LOAD_LOCK = RLock()


def read_checkpoint(folder: Path, dtype: Any) -> tuple[Any, Any]:
    """The language model (``dtype`` a torch dtype) and the tokenizer of a folder.

    Raises ModelCorrupt for a damaged or incomplete folder, ModelError for anything other than a
    decoder in safetensors.
    """
    import transformers

    library: Any = transformers  # untyped as released
    check_files(folder)
    require_decoder(str(folder), read_config(folder))
    with silence_libraries(), explain_errors(folder, "the tokenizer"):
        tokenizer = library.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    require_vocabulary(folder, tokenizer)
    if not tokenizer.chat_template:
        # Models with image input keep it with their processor.
        template = read_json_object(folder / "chat_template.json").get("chat_template")
        tokenizer.chat_template = template if isinstance(template, str) else None
    with silence_libraries(), explain_errors(folder, "the model"):
        model, report = library.AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # reported by name below
            output_loading_info=True,
        )
    require_tensors(str(folder), report)
    model.train(False)
    return model, tokenizer


def read_json_object(path: Path) -> dict[str, Json]:
    """The JSON object in a file; empty if there is no file. Raises ModelCorrupt."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(read_text_file(path, error=ModelCorrupt))
    except (ValueError, RecursionError) as error:
        raise ModelCorrupt(f"{path}: is no JSON ({error}); fetch the model again") from error
    if not isinstance(content, dict):
        raise ModelCorrupt(f"{path}: holds no JSON object; fetch the model again")
    return content


def check_files(folder: Path) -> None:
    """Raises ModelError unless a folder holds a complete model in safetensors."""
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        base = read_json_object(adapter).get("base_model_name_or_path") or "its base model"
        raise ModelError(
            f"{folder}: is an adapter of {base} ({adapter.name}), not a whole model; load the "
            "base with voice= this folder (--voice), or merge it into the base (peft: "
            "merge_and_unload, then save_pretrained) and name the folder of the result"
        )
    if not (folder / "config.json").is_file():
        files = sorted(folder.glob("*.gguf"))
        raise ModelCorrupt(
            f"{folder}: holds no config.json, so it is no model folder; name "
            + (f"the file: {files[0]}" if files else _nearest_folder(folder))
        )
    weights = sorted(folder.glob("*.safetensors"))
    others = sorted({file.name for kind in OTHER_WEIGHTS for file in folder.glob(kind)})
    if not weights and others:
        raise ModelError(
            f"{folder}: holds its weights as {others[0]} only, which is not read: such files may "
            "run code or belong to another library; convert them to safetensors (transformers: "
            "from_pretrained, then save_pretrained) and name the new folder"
        )
    shards = read_json_object(folder / "model.safetensors.index.json").get("weight_map") or {}
    parts = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
    missing = [name for name in parts if not (folder / name).is_file()]
    if not weights and (files := sorted(folder.glob("*.gguf"))):
        raise ModelError(f"{folder}: holds its weights as GGUF; name the file: {files[0]}")
    if not weights:
        raise ModelCorrupt(
            f"{folder}: holds no weights (*.safetensors); fetch the model again, or where it comes "
            "in another format convert it to safetensors"
        )
    if missing:
        raise ModelCorrupt(f"{folder}: lacks {list_names(missing)}; fetch the model again")
    if not shards and not (folder / "model.safetensors").is_file():
        raise ModelCorrupt(
            f"{folder}: holds {weights[0].name}, but neither model.safetensors nor "
            "model.safetensors.index.json, which names the parts: fetch what is missing, or the "
            "folder in transformers' format (its own weights are called so)"
        )
    for file in [*weights, folder / "tokenizer.json", folder / "tokenizer.model"]:
        require_no_lfs_pointer(file)
    for name in ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json"):
        read_json_object(folder / name)  # transformers ignores a damaged one


def _nearest_folder(folder: Path) -> str:
    """A hint at the subfolder that holds a model: in a download cache or of a training."""
    configs = [file for kind in ("*", "snapshots/*") for file in folder.glob(f"{kind}/config.json")]
    newest = max(configs, key=lambda file: file.stat().st_mtime, default=None)
    return f"the folder that does: {newest.parent}" if newest else "the folder that does"


def require_no_lfs_pointer(file: Path) -> None:
    """Raises ModelCorrupt for a Git LFS pointer in place of a file that was not fetched."""
    if file.is_file():
        with file.open("rb") as opened:
            start = opened.read(len(LFS_POINTER))
        if start == LFS_POINTER:
            raise ModelCorrupt(f"{file}: is a Git LFS pointer, not the file; run: git lfs pull")


def require_vocabulary(folder: Path, tokenizer: Any) -> None:
    """Raises ModelCorrupt if the folder has no tokenizer files: some transformers classes then
    create a tokenizer with a few special tokens."""
    stored = any(file.is_file() for kind in VOCABULARIES for file in folder.glob(kind))
    if not stored and len(tokenizer) < BYTE_VOCABULARY:
        raise ModelCorrupt(
            f"{folder}: holds no tokenizer (tokenizer.json, or its older forms); fetch the model "
            "again, or copy the tokenizer's files of its base into the folder"
        )


def read_config(folder: Path) -> Any:
    """transformers' configuration of a folder. Raises ModelCorrupt naming the invalid field,
    ModelError for a kind of model that needs code in the folder."""
    from transformers import AutoConfig

    path = folder / "config.json"
    kind = read_json_object(path).get("model_type")
    if not isinstance(kind, str) or not kind:
        raise ModelCorrupt(f"{path}: model_type is {kind!r}; fetch the model again")
    with silence_libraries(), explain_errors(folder, "config.json"):
        return AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )


def _field_error(error: Exception) -> str:
    text = " ".join(str(error).split())
    match = re.match(r"Validation error for field '([^']*)': (?:\w+: )?(.*)", text)
    return f"field '{match[1]}' is wrong ({match[2]})" if match else text


def require_decoder(source: str, config: Any) -> None:
    """Raises ModelError with the reason if a configuration is not that of a language model
    that generates text token by token."""
    from transformers.models.auto import modeling_auto

    library: Any = modeling_auto
    kind = str(config.model_type)
    remedy = "name a decoder-only language model, such as smollm2"
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{source}: is an encoder-decoder ({kind}), not supported; {remedy}")
    masked = kind in library.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    causal = kind in library.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if masked and not getattr(config, "is_decoder", False):
        raise ModelError(
            f"{source}: is an encoder ({kind}), which makes vectors and writes no text; {remedy}, "
            "or give this one as the embedder"
        )
    if not causal:
        raise ModelError(f"{source}: is a {kind} model, which is no language model; {remedy}")
    classes = class_names(config)
    heads = [
        name
        for name in classes
        if name.endswith(NON_GENERATIVE_SUFFIXES) and not name.endswith(GENERATIVE_SUFFIXES)
    ]
    if classes and len(heads) == len(classes):
        raise ModelError(
            f"{source}: is a {classes[0]}, without the layer that writes text; {remedy}"
        )


def class_names(config: Any) -> list[str]:
    """The model classes that a configuration names."""
    return [str(name) for name in getattr(config, "architectures", None) or ()]


def require_tensors(source: str, report: Mapping[str, Any], *, encoder: Any = None) -> None:
    """Raises ModelCorrupt unless the weights match the model, by transformers' loading report:
    missing tensors would be random, unexpected ones ignored.

    ``encoder``: the model if only its hidden states are used, so that the pooling layer may be
    missing and heads may be unexpected.
    """
    missing = sorted(report["missing_keys"])
    unexpected = sorted(
        name for name in report["unexpected_keys"] if not IGNORED_TENSORS.search(name)
    )
    shapes = sorted((str(name), tuple(a), tuple(b)) for name, a, b in report["mismatched_keys"])
    if encoder is not None:
        modules = {name.partition(".")[0] for name in encoder.state_dict()}
        prefix = f"{encoder.base_model_prefix}."
        missing = [name for name in missing if "pooler." not in name]
        if not missing:
            unexpected = [
                name
                for name in unexpected
                if name.removeprefix(prefix).partition(".")[0] in modules and "pooler." not in name
            ]
    faults = []
    if missing:
        faults.append(f"lacks {list_names(missing)}")
    if unexpected:
        faults.append(f"has {list_names(unexpected)}, which the model does not know")
    for name, stored, wanted in shapes[:1]:
        others = f" and {len(shapes) - 1} more" if len(shapes) > 1 else ""
        faults.append(
            f"has {name} of shape {stored}, not {wanted},{others or ' as'} by config.json"
        )
    if faults:
        raise ModelCorrupt(
            f"{source}: its weights are not those of the model: it {'; it '.join(faults)}"
            f"{_common_prefix_hint(missing, unexpected)}; fetch or convert the model again"
        )


def _common_prefix_hint(missing: list[str], unexpected: list[str]) -> str:
    """A hint at the prefix that all tensor names seem to have."""
    for wanted in missing[:MAX_NAMED]:
        for name in unexpected:
            if name.endswith("." + wanted):
                prefix = name.removesuffix(wanted)
                return f" (every name seems to begin with '{prefix}', as in unmerged adapters)"
    return ""


def list_names(names: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    names = list(names)
    others = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + others


@contextmanager
def checked_encoders(source: str) -> Iterator[None]:
    """Within this block, all tensors of every model that transformers loads are checked, for
    libraries that do not check them. Raises ModelCorrupt at the end."""
    import transformers

    library: Any = transformers.PreTrainedModel
    plain = library.__dict__["from_pretrained"]
    reports: list[tuple[Any, Any]] = []

    def from_pretrained(cls: Any, *args: Any, **settings: Any) -> Any:
        wanted = settings.pop("output_loading_info", False)
        model, report = plain.__func__(cls, *args, **settings, output_loading_info=True)
        reports.append((model, report))
        return (model, report) if wanted else model

    library.from_pretrained = classmethod(from_pretrained)
    try:
        yield
    finally:
        library.from_pretrained = plain
    for model, report in reports:
        require_tensors(source, report, encoder=model)


@contextmanager
def explain_errors(folder: Path, part: str) -> Iterator[None]:
    """Turns errors that libraries raise while they read a folder into errors with a remedy."""
    try:
        yield
    except ModelError:
        raise
    # safetensors and tokenizers raise direct subclasses of Exception.
    except Exception as error:
        raise _explained_error(folder, part, error) from error


def _explained_error(folder: Path, part: str, error: Exception) -> ModelError:
    from huggingface_hub.errors import StrictDataclassError

    if isinstance(error, StrictDataclassError):
        config = folder / "config.json"  # an embedder's encoder may be in a subfolder
        where = config if config.is_file() else folder
        return ModelCorrupt(f"{where}: {_field_error(error)}; correct the file or fetch it again")
    message = " ".join(str(error).split())
    excerpt = message if len(message) <= 300 else message[:300] + "..."
    if "trust_remote_code" in message:
        return ModelError(
            f"{folder}: {part} needs code in the folder (auto_map), which is never run; "
            "name a model that transformers supports by itself, or serve it with an engine that "
            "you trust with the code and name it as openai:URL#name"
        )
    if isinstance(error, ImportError):
        return ModelError(
            f"{folder}: {part} needs a package that is not installed ({excerpt}); install it, or "
            "name the model unquantised or as GGUF"
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ModelError(f"{folder}: does not fit into memory ({excerpt}); name a smaller model")
    if "does not recognize this architecture" in message:
        return ModelError(
            f"{folder}: its model_type is unknown to the installed transformers; upgrade "
            "transformers, or serve the model and name it as openai:URL#name"
        )
    return ModelCorrupt(
        f"{folder}: {part} cannot be loaded ({type(error).__name__}: {excerpt}); fetch the "
        "model again"
    )


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Within this block transformers draws no progress bar and logs no warning; errors are raised
    as usual. One thread at a time."""
    with LOAD_LOCK:
        yield from _silence_transformers()


def _silence_transformers() -> Iterator[None]:
    from transformers import modeling_gguf_pytorch_utils
    from transformers import utils as transformers_utils

    # Untyped as released.
    gguf: Any = modeling_gguf_pytorch_utils
    logging: Any = transformers_utils.logging
    bar, gguf.tqdm = gguf.tqdm, partial(gguf.tqdm, disable=True)
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gguf.tqdm = bar
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
