"""Putting a local model together: files, device, dtype, tokenizer, engine."""

from __future__ import annotations

import os
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from ..core import Json, ModelCorrupt, ModelError, SettingError
from .clients import UsageLedger
from .decisions import Decider, load_calibration
from .embedders import Embedder, embedder_folder
from .engine import (
    ChatTemplate,
    Engine,
    GenerationConfig,
    PromptBuilder,
    RepetitionLimits,
    make_backend,
    make_limits,
    pick_device,
    pick_dtype,
    prefers_int8,
)
from .files import (
    ProgressCallback,
    check_hashes,
    check_sizes,
    file_sha256,
    is_gguf,
    known_models,
    model_not_found,
    pull,
    read_checkpoint,
    read_gguf,
    require_kind,
    silence_libraries,
    stored_digest,
)
from .grammar import GrammarCompiler
from .local import LocalModel

SMALL_MODEL = 1_000_000_000  # parameters; below, a model loops and its own ratings say little


MIN_INT8_PARAMETERS = 50_000_000  # parameters; below, rounding to int8 gains nothing


DEFAULT_WINDOW = 8192


TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>")


TEXT_ENDS = ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|eos|>")


DIGEST_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


def load_local_model(
    name: str,
    *,
    device: str,
    dtype: str,
    exact: bool,
    embedder: str,
    window: int | None,
    method: str,
    uncalibrated: bool,
    rows: int | None,
    pass_tokens: int | None,
    cache_mb: int | None,
    progress: ProgressCallback | None,
) -> LocalModel:
    """See ``load_model``."""
    require_kind(name, "language model")
    place = pick_device(device)
    kind = pick_dtype(dtype, place)
    if exact:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA asks for it
        torch.use_deterministic_algorithms(True)
    model, tokenizer, digest = read_model(name, kind, progress)
    model.to(place)
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    size_of = sum(weight.numel() for weight in model.parameters())
    small = size_of < SMALL_MODEL
    if dtype == "auto" and size_of >= MIN_INT8_PARAMETERS and prefers_int8(kind, place):
        dtype = "int8"
    size = _window(name, model, window)
    _require_same_vocabulary(name, tokenizer, vocabulary)
    prompter = PromptBuilder(tokenizer, size, vocabulary)
    if not tokenizer.chat_template:
        warnings.warn(
            f"{name}: holds no chat template, so it is asked in lines like 'User: ...'; a model "
            "trained to chat answers worse so: add its chat_template.jinja",
            stacklevel=4,  # beyond load_model and its check of arguments
        )
    voice = _generation_config(name, model, tokenizer, prompter.template, vocabulary, small)
    keeper = make_backend(name, model, place, size, cache_mb=cache_mb, int8=dtype == "int8")
    vectors = Embedder(embedder_folder(embedder, progress), place, alone=exact)
    about = describe_model(
        name, digest, dtype if dtype == "int8" else str(kind), place, size, exact, embedder
    )
    calibration = load_calibration(digest, embedder, small=small, stored=not uncalibrated)
    about["calibration"] = calibration.source
    decider = Decider(prompter, vectors, calibration, method=method, remember=not exact)
    ledger = UsageLedger()
    limits = make_limits(place, kind, rows, pass_tokens, int8=dtype == "int8", exact=exact)
    engine = Engine(keeper, prompter, voice, decider, ledger, limits)
    return LocalModel(engine, decider, vectors, ledger, about)


def read_model(
    name: str, dtype: torch.dtype, progress: ProgressCallback | None
) -> tuple[Any, Any, str]:
    """Model, tokenizer and digest of a catalogue name, folder, .gguf file or hub id."""
    if name in {info.name for info in known_models()}:
        path = pull(name, progress)
        check_sizes(path, name)
        try:
            model, tokenizer = read_checkpoint(path, dtype)
        except ModelCorrupt:
            check_hashes(path, name)  # names the damaged file when that is the cause
            raise
        return model, tokenizer, stored_digest(path)
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise model_not_found(name)
        return read_gguf(path, dtype, progress)
    if path.is_dir():
        model, tokenizer = read_checkpoint(path, dtype)
        return model, tokenizer, _digest(path)
    if path.is_file() and is_gguf(path):
        return read_gguf(path, dtype, progress)
    if path.is_file():
        raise ModelError(f"{path}: is one file; name the folder that it lies in, or a .gguf file")
    return read_hub_model(name, dtype)


def read_hub_model(name: str, dtype: torch.dtype) -> tuple[Any, Any, str]:
    """A model of the Hugging Face hub, or of its local cache. Raises ModelNotFound."""
    import re

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise model_not_found(name)
    from huggingface_hub import snapshot_download

    try:
        with silence_libraries():
            path = Path(
                snapshot_download(
                    name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
                )
            )
    except (OSError, ValueError) as error:
        raise model_not_found(name) from error
    model, tokenizer = read_checkpoint(path, dtype)
    return model, tokenizer, path.name


def _window(name: str, model: Any, window: int | None) -> int:
    # Absent or null where positions are relative: any length will do.
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = longest if isinstance(longest, int) and longest > 0 else DEFAULT_WINDOW
    if window is None:
        return min(longest, DEFAULT_WINDOW)
    if not 16 <= window <= longest:
        raise SettingError(
            f"window {window} is out of range: '{name}' takes 16 to {longest} tokens"
        )
    return window


def _generation_config(
    name: str, model: Any, tokenizer: Any, template: ChatTemplate, vocabulary: int, small: bool
) -> GenerationConfig:
    known = tokenizer.get_vocab()
    ends = {tokenizer.eos_token_id} | template.end_tokens()
    listed = getattr(model.generation_config, "eos_token_id", None)
    ends |= set(listed) if isinstance(listed, list) else {listed}
    ends |= {known.get(token) for token in TURN_ENDS}
    ends = {i for i in ends if i is not None} or {known[t] for t in TEXT_ENDS if t in known}
    for wrong in (i for i in ends if type(i) is not int):
        raise ModelCorrupt(
            f"{name}: eos_token_id is {wrong!r} in its generation_config.json, not the number of "
            "a token; mend the file or fetch it again"
        )
    # Some tokenizers know tokens that the model has no row for.
    ends = {i for i in ends if i < vocabulary}
    if not ends:
        raise ModelError(
            f"{name}: names no token that ends an answer, so none would ever end; set eos_token in "
            "its tokenizer_config.json, or eos_token_id in its generation_config.json"
        )
    control = set(tokenizer.all_special_ids) | template.reasoning_tokens()
    control |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    control = {i for i in control if i < vocabulary}
    # Rows of the output beyond the vocabulary are padding and name no token.
    control |= set(range(len(tokenizer), vocabulary))
    # A shorter echo would break names: what one wants to say stands in the prompt.
    guard = RepetitionLimits(penalty=1.1, ngram=4, prompt_ngram=40) if small else RepetitionLimits()
    return GenerationConfig(
        tokenizer=tokenizer,
        stop_tokens=frozenset(ends),
        suppressed_tokens=tuple(sorted(control - ends)),
        newline_tokens=_line_breaks(tokenizer),
        repetition_limits=guard,
        grammars=GrammarCompiler(tokenizer, vocabulary, min(ends)),
    )


def _require_same_vocabulary(name: str, tokenizer: Any, vocabulary: int) -> None:
    """Raises ModelCorrupt for a tokenizer with words that the model does not know: it belongs
    to another model. Tokens added later are passed over."""
    added = tokenizer.added_tokens_decoder
    largest = max((i for i in tokenizer.get_vocab().values() if i not in added), default=0)
    if largest >= vocabulary:
        raise ModelCorrupt(
            f"{name}: its tokenizer numbers words up to {largest}, but the model knows "
            f"{vocabulary}: they belong to two models; fetch the tokenizer's files again"
        )


def _line_breaks(tokenizer: Any) -> frozenset[int]:
    """Tokens that are blank and break the line."""
    texts = [blank + "\n" * count for count in (1, 2, 3, 4) for blank in ("", " ", "  ")]
    found = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    return frozenset(ids[0] for ids in found if len(ids) == 1)


def _digest(folder: Path) -> str:
    """A hash over the names and contents of all files that make up a model: the tokenizer and
    the chat template too, since other ones make other answers."""
    files = sorted({file for kind in DIGEST_FILES for file in folder.glob(kind) if file.is_file()})
    return sha256(
        "".join(f"{file.name} {file_sha256(file)}\n" for file in files).encode()
    ).hexdigest()


def describe_model(
    name: str,
    digest: str,
    dtype: str,
    device: torch.device,
    window: int,
    exact: bool,
    embedder: str,
) -> dict[str, Json]:
    """What a run records about the model."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, Json] = {}
    for package in ("denizens", "torch", "transformers"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "name": name,
        "digest": digest,
        "dtype": dtype.removeprefix("torch."),
        "device": str(device),
        "window": window,
        "exact": exact,
        "embedder": embedder,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }
