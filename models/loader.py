"""Loading a model into this process: files, device, dtype, tokenizer, engine."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from ..core import (
    DEFAULT_VOICE,
    NO_VOICE,
    Json,
    ModelCorrupt,
    ModelError,
    SettingError,
    library_versions,
)
from .clients import UsageLedger
from .decisions import Decider, load_calibration
from .embedders import load_embedder
from .engine import (
    Engine,
    GenerationConfig,
    PromptBuilder,
    RepetitionLimits,
    VoiceTable,
    linear_shapes,
    make_backend,
    make_limits,
    pick_device,
    pick_dtype,
    prefers_int8,
)
from .files import (
    Adapter,
    ProgressCallback,
    check_hashes,
    check_sizes,
    file_sha256,
    is_gguf,
    known_models,
    model_not_found,
    pull,
    read_adapter,
    read_checkpoint,
    read_gguf,
    require_fit,
    require_kind,
    shipped_voice,
    silence_libraries,
    stored_digest,
)
from .grammar import GrammarCompiler
from .local import LocalModel

SMALL_MODEL = 1_000_000_000  # parameters; smaller models loop, and their own ratings are poor
MIN_INT8_PARAMETERS = 50_000_000  # parameters; int8 makes smaller models no faster
DEFAULT_WINDOW = 8192
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>")
TEXT_ENDS = ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|eos|>")
CRITIC_WEIGHTS = "critic.safetensors"
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


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
    voice: str | None,
    progress: ProgressCallback | None,
) -> LocalModel:
    """Load a model into this process; arguments and errors as of ``load_model``."""
    require_kind(name, "language model")
    report = progress or _no_progress
    torch_device = pick_device(device)
    torch_dtype = pick_dtype(dtype, torch_device)
    if exact:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA requires it
        torch.use_deterministic_algorithms(True)
    report(f"loading the weights of {name}", 0, 0)
    model, tokenizer, digest = read_model(name, torch_dtype, progress)
    model.to(torch_device)
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    parameters = sum(weight.numel() for weight in model.parameters())
    small = parameters < SMALL_MODEL
    fast_int8 = parameters >= MIN_INT8_PARAMETERS and prefers_int8(torch_dtype, torch_device)
    int8 = dtype == "int8" or (dtype == "auto" and fast_int8)
    tokens = _window(name, model, window)
    _require_same_vocabulary(name, tokenizer, vocabulary)
    prompt_builder = PromptBuilder(tokenizer, tokens, vocabulary)
    _warn_without_template(name, tokenizer)
    config = _generation_config(name, model, tokenizer, prompt_builder, vocabulary, small)
    report(f"preparing {name}", 0, 0)
    linears = linear_shapes(model)
    adapter = _default_voice(name, voice, linears)
    backend = make_backend(
        name, model, torch_device, tokens, cache_mb=cache_mb, int8=int8, adapter=adapter
    )
    report(f"loading the embedder {embedder}", 0, 0)
    text_embedder = load_embedder(
        embedder, device=str(torch_device), alone=exact, progress=progress
    )
    about: dict[str, Json] = {"name": name, "digest": digest}
    about["dtype"] = "int8" if int8 else str(torch_dtype).removeprefix("torch.")
    about |= {"device": str(torch_device), "window": tokens, "exact": exact, "embedder": embedder}
    about |= _environment()
    calibration = load_calibration(digest, embedder, small=small, stored=not uncalibrated)
    about["calibration"] = calibration.source
    decider = Decider(prompt_builder, text_embedder, calibration, method=method, remember=not exact)
    ledger = UsageLedger()
    limits = make_limits(torch_device, torch_dtype, rows, pass_tokens, int8=int8, exact=exact)
    voices = VoiceTable(backend, name, linears, adapter, partial(_load_critic, decider))
    engine = Engine(backend, prompt_builder, config, decider, ledger, limits, voices)
    return LocalModel(engine, decider, text_embedder, ledger, about)


def _default_voice(
    name: str, voice: str | None, shapes: Mapping[str, tuple[int, int]]
) -> Adapter | None:
    """The voice that a model is loaded with; None for its base weights. Raises ModelError."""
    if voice in (None, "", DEFAULT_VOICE):
        folder = shipped_voice(name)
    else:
        folder = None if voice == NO_VOICE else Path(str(voice)).expanduser()
    if folder is None:
        return None
    adapter = read_adapter(folder)
    require_fit(adapter, shapes, name)
    return adapter


def _load_critic(decider: Decider, voice: str, adapter: Adapter) -> None:
    """Load the critic that was trained with a voice, if there is one."""
    if (adapter.folder / CRITIC_WEIGHTS).is_file():
        decider.load_critic(voice, adapter.folder)


def _no_progress(what: str, done: int, total: int) -> None:
    """Report nothing."""


def read_model(
    name: str, dtype: torch.dtype, progress: ProgressCallback | None
) -> tuple[Any, Any, str]:
    """Model, tokenizer and digest of a packaged model, folder, .gguf file or hub id."""
    if name in {info.name for info in known_models()}:
        folder = pull(name, progress)
        check_sizes(folder, name)
        try:
            model, tokenizer = read_checkpoint(folder, dtype)
        except ModelCorrupt:
            check_hashes(folder, name)  # names the damaged file if there is one
            raise
        return model, tokenizer, stored_digest(folder)
    path = Path(name).expanduser()
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise model_not_found(name)
        return read_gguf(path, dtype, progress)
    if path.is_dir():
        model, tokenizer = read_checkpoint(path, dtype)
        return model, tokenizer, _folder_digest(path)
    if path.is_file() and is_gguf(path):
        return read_gguf(path, dtype, progress)
    if path.is_file():
        raise ModelError(f"{path}: is one file; name the folder that contains it, or a .gguf file")
    return read_hub_model(name, dtype)


def read_hub_model(name: str, dtype: torch.dtype) -> tuple[Any, Any, str]:
    """Model, tokenizer and commit of a Hugging Face id, from the hub or its local cache.

    Raises ModelNotFound.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise model_not_found(name)
    from huggingface_hub import snapshot_download

    try:
        with silence_libraries():
            folder = Path(snapshot_download(name, allow_patterns=[*MODEL_FILES]))
    except (OSError, ValueError) as error:
        raise model_not_found(name) from error
    model, tokenizer = read_checkpoint(folder, dtype)
    return model, tokenizer, folder.name


def _window(name: str, model: Any, window: int | None) -> int:
    """The context window in tokens. Raises SettingError."""
    # Absent or null for relative positions, which have no limit.
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
    name: str, model: Any, tokenizer: Any, builder: PromptBuilder, vocabulary: int, small: bool
) -> GenerationConfig:
    """Stop tokens, suppressed tokens and repetition limits. Raises ModelCorrupt, ModelError."""
    template = builder.template
    known = tokenizer.get_vocab()
    stops = {tokenizer.eos_token_id} | template.end_tokens()
    listed = getattr(model.generation_config, "eos_token_id", None)
    stops |= set(listed) if isinstance(listed, list) else {listed}
    stops |= {known.get(token) for token in TURN_ENDS}
    stops = {i for i in stops if i is not None} or {known[t] for t in TEXT_ENDS if t in known}
    for wrong in (i for i in stops if type(i) is not int):
        raise ModelCorrupt(
            f"{name}: eos_token_id is {wrong!r} in its generation_config.json, not the number of "
            "a token; correct the file or fetch it again"
        )
    # Some tokenizers have tokens that the model has no row for.
    stops = {i for i in stops if i < vocabulary}
    if not stops:
        raise ModelError(
            f"{name}: names no token that ends an answer, so none would ever end; set eos_token in "
            "its tokenizer_config.json, or eos_token_id in its generation_config.json"
        )
    suppressed = set(tokenizer.all_special_ids) | template.reasoning_tokens()
    suppressed |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    suppressed = {i for i in suppressed if i < vocabulary}
    # Rows of the output beyond the tokenizer's vocabulary are padding.
    suppressed |= set(range(len(tokenizer), vocabulary))
    # A shorter prompt n-gram would forbid names that are in the prompt.
    limits = RepetitionLimits(penalty=1.1, ngram=4, prompt_ngram=40)
    return GenerationConfig(
        tokenizer=tokenizer,
        stop_tokens=frozenset(stops),
        suppressed_tokens=tuple(sorted(suppressed - stops)),
        newline_tokens=_newline_tokens(tokenizer),
        repetition_limits=limits if small else RepetitionLimits(),
        grammars=GrammarCompiler(tokenizer, vocabulary, min(stops)),
    )


def _warn_without_template(name: str, tokenizer: Any) -> None:
    if not tokenizer.chat_template:
        warnings.warn(
            f"{name}: holds no chat template, so it is asked in lines like 'User: ...'; a model "
            "trained to chat answers worse so: add its chat_template.jinja",
            stacklevel=5,  # the caller of load_model, which is wrapped by check_arguments
        )


def _require_same_vocabulary(name: str, tokenizer: Any, vocabulary: int) -> None:
    """Raises ModelCorrupt if the tokenizer has words beyond the model's vocabulary: it belongs
    to another model. Added tokens are not counted."""
    added = tokenizer.added_tokens_decoder
    largest = max((i for i in tokenizer.get_vocab().values() if i not in added), default=0)
    if largest >= vocabulary:
        raise ModelCorrupt(
            f"{name}: its tokenizer has token ids up to {largest}, but the model only "
            f"{vocabulary} rows: they belong to two models; fetch the tokenizer's files again"
        )


def _newline_tokens(tokenizer: Any) -> frozenset[int]:
    """Tokens of blanks and line breaks."""
    texts = [blank + "\n" * count for count in (1, 2, 3, 4) for blank in ("", " ", "  ")]
    encoded = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    return frozenset(ids[0] for ids in encoded if len(ids) == 1)


def _folder_digest(folder: Path) -> str:
    """A hash of the names and contents of a model's files, with tokenizer and chat template,
    since these change the answers too."""
    files = sorted({file for kind in MODEL_FILES for file in folder.glob(kind) if file.is_file()})
    lines = [f"{file.name} {file_sha256(file)}\n" for file in files]
    return sha256("".join(lines).encode()).hexdigest()


def _environment() -> dict[str, Json]:
    """Threads, processors and library versions, which a run records about its model."""
    versions = library_versions("denizens", "torch", "transformers", missing="not installed")
    return {"threads": torch.get_num_threads(), "cpus": os.cpu_count(), "versions": versions}
