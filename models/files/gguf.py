"""GGUF files, each converted once to safetensors in the cache, which load 20 times faster."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...core import ModelCorrupt, ModelError, NoSpace
from .checkpoint import (
    list_names,
    read_checkpoint,
    read_json_object,
    require_decoder,
    require_no_lfs_pointer,
    silence_libraries,
)
from .model_store import (
    MANIFEST,
    ProgressCallback,
    cache_home,
    check_sizes,
    delete_folder,
    file_sha256,
    is_stored,
    move_into_place,
    progress_bar,
    scratch_folder,
    write_manifest,
)

LONG_ARRAY = 4096  # entries; longer arrays are vocabularies, which only the tokenizer reads
UNUSED_LAYERS = (".nextn.",)  # layers of multi-token prediction, which the engine does not run
CONVERSION_FORMAT = "2"  # version of the converted folders; others are converted again
SPLIT_FILE = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
ROTATION_TENSORS = ("rope_freqs", "rope_factors")


def gguf_to_folder(gguf: Path, folder: Path, dtype: Any = None) -> None:
    """Convert a GGUF file to a folder of safetensors with its tokenizer.

    ``dtype``: a torch dtype; None keeps about the precision that each tensor has in the file.
    Raises ModelCorrupt for a damaged file, ModelError for an unsupported kind of model, OSError
    if the folder cannot be written.
    """
    try:
        with silence_libraries():
            rotations = _convert(gguf, folder, dtype)
    except (ModelError, MemoryError):
        raise
    # safetensors and tokenizers raise direct subclasses of Exception.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if "No space left" in str(error):
            raise OSError(ENOSPC, str(error)) from error
        if "is not supported yet" in str(error) or isinstance(error, NotImplementedError):
            raise ModelError(
                f"{gguf}: is of a kind that transformers cannot read from GGUF ({error}); name it "
                f"as llamacpp:{gguf}, or name its folder of safetensors"
            ) from error
        raise ModelCorrupt(
            f"{gguf}: cannot be read as a GGUF model ({error}); fetch the file again"
        ) from error
    if rotations:
        warnings.warn(
            f"{gguf}: its scaled rotations ({', '.join(rotations)}) are not used, so long texts "
            f"may be read worse; name the folder of safetensors, or llamacpp:{gguf}",
            stacklevel=2,
        )


def _convert(gguf: Path, folder: Path, dtype: Any) -> list[str]:
    """Write the folder; the names of rotation tensors that could not be used."""
    import torch
    import transformers

    library: Any = transformers  # untyped as released
    where = {"gguf_file": gguf.name, "trust_remote_code": False}
    if SPLIT_FILE.search(gguf.name):
        raise ModelError(
            f"{gguf}: is one of several parts; join them (llama.cpp: gguf-split --merge) and name "
            f"the whole file, or name the first part as llamacpp:{gguf}"
        )
    reader, content = _parse_header(gguf)
    with _parsed_once(content):
        config = library.AutoConfig.from_pretrained(str(gguf.parent), **where)
        require_decoder(str(gguf), config)
        length = _header_field(reader, "attention.key_length", architecture=True)
        if length and "head_dim" not in content["config"] and hasattr(config, "head_dim"):
            config.head_dim = int(length)
        with torch.device("meta"):
            model = library.AutoModelForCausalLM.from_config(config, dtype=dtype or torch.float16)
        tensors, unknown = _read_tensors(reader, content, model, dtype)
        tokenizer = library.AutoTokenizer.from_pretrained(str(gguf.parent), **where)
    loaded = model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    rotations = [name for name in unknown if name.startswith(ROTATION_TENSORS)]
    unknown = [name for name in unknown if name not in rotations]
    if rotations == ["rope_freqs.weight"] and _apply_rope_factors(reader, model.config):
        rotations = []
    rotations += _apply_rope_scaling(reader, model.config)
    _apply_end_tokens(reader, model, tokenizer)
    state = model.state_dict()
    missing = [name for name in loaded.missing_keys if state[name].is_meta]
    faults = [*missing, *loaded.unexpected_keys, *unknown]
    if faults:
        raise ModelCorrupt(
            f"{gguf}: lacks or misnames tensors ({list_names(faults)}); fetch the file again"
        )
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return rotations


def _parse_header(path: Path) -> tuple[Any, dict[str, Any]]:
    """The file's reader and its header as transformers parses it. It is parsed once: three times,
    with every word of the vocabulary, took two minutes for 250 MB."""
    import gguf
    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    module: Any = gguf

    class Reader(gguf.GGUFReader):
        """Skips long arrays."""

        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            if raw_type == gguf.GGUFValueType.ARRAY and self.byte_order == "I":
                data: Any = self.data
                kind, count = struct.unpack_from("<IQ", data, orig_offs)
                if count > LONG_ARRAY:
                    end = _array_end(data, orig_offs + 12, kind, count)
                    head = [data[orig_offs : orig_offs + 12]]
                    return end - orig_offs, head, [], [gguf.GGUFValueType.ARRAY]
            return super()._get_field_parts(orig_offs, raw_type)

    reader: Any = Reader(str(path))
    original = module.GGUFReader
    module.GGUFReader = lambda *_: reader
    try:
        content: dict[str, Any] = library.load_gguf_checkpoint(str(path))
    finally:
        module.GGUFReader = original
    kind = library.read_field(reader, "general.type") or ["model"]
    if kind[0] != "model":
        raise ModelError(
            f"{path}: is a part of a model ({kind[0]}); join it with its base, or name the base"
        )
    vocabulary = reader.fields.get("tokenizer.ggml.tokens")
    if vocabulary is not None and not content["config"].get("vocab_size"):
        count = struct.unpack_from(
            "<IQ", reader.data, vocabulary.offset + _key_length(vocabulary) + 4
        )[1]
        content["config"]["vocab_size"] = int(count)
    return reader, content


def _key_length(field: Any) -> int:
    """Bytes of a field's name in the file, with its length."""
    return int(field.parts[0].nbytes + field.parts[1].nbytes)


def _array_end(data: Any, at: int, kind: int, count: int) -> int:
    """The offset behind an array in a GGUF header. Raises ValueError for an unknown type."""
    widths = {0: 1, 1: 1, 7: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 10: 8, 11: 8, 12: 8}
    if kind in widths:
        return at + widths[kind] * count
    if kind != 8:
        raise ValueError(f"an array of type {kind}")
    read = struct.Struct("<Q").unpack_from
    for _ in range(count):
        at += 8 + read(data, at)[0]
    return at


@contextmanager
def _parsed_once(content: dict[str, Any]) -> Iterator[None]:
    """Within this block transformers gets the parsed header instead of parsing it again."""
    from copy import deepcopy

    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    original = library.load_gguf_checkpoint
    library.load_gguf_checkpoint = lambda *_, **__: deepcopy(content)
    try:
        yield
    finally:
        library.load_gguf_checkpoint = original


def _read_tensors(
    reader: Any, content: dict[str, Any], model: Any, dtype: Any
) -> tuple[dict[str, Any], list[str]]:
    """The tensors by their names in the model, and the names in the file of tensors that the model
    does not have. As transformers' ``load_gguf_checkpoint``, which ignores the latter."""
    import numpy as np
    import torch
    from gguf import dequantize
    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    architecture = library.read_field(reader, "general.architecture")[0]
    make = library.TENSOR_PROCESSORS.get(architecture, library.TensorProcessor)
    processor = make(config=content["config"])
    names = library.get_gguf_hf_weights_map(model, processor)
    tensors: dict[str, Any] = {}
    content = {**content, "tensors": tensors}
    unknown: list[str] = []
    dtypes: dict[str, Any] = {}
    for tensor in reader.tensors:
        tensor_dtype = dtype or _dtype_of(tensor.tensor_type.name)
        result = processor.process(
            weights=dequantize(tensor.data, tensor.tensor_type),
            name=tensor.name,
            tensor_key_mapping=names,
            parsed_parameters=content,
        )
        if result.name in names:
            model_name = names[result.name]
            tensors[model_name] = _cast(torch.from_numpy(np.copy(result.weights)), tensor_dtype)
            dtypes[model_name] = tensor_dtype
        elif result.name is not None and not any(part in tensor.name for part in UNUSED_LAYERS):
            unknown.append(tensor.name)
        # Some processors add the parts of a tensor to the dict themselves.
        for model_name in list(tensors)[len(dtypes) :]:
            dtypes[model_name] = tensor_dtype
    return {name: _cast(tensor, dtypes[name]) for name, tensor in tensors.items()}, unknown


def _header_field(reader: Any, name: str, *, architecture: bool = False) -> Any:
    """A number or text of the header, with ``architecture`` under the name of the model's
    architecture; None if it is missing."""
    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    prefix = library.read_field(reader, "general.architecture")[0] + "." if architecture else ""
    values = library.read_field(reader, prefix + name)
    return values[0] if values else None


def _apply_rope_scaling(reader: Any, config: Any) -> list[str]:
    """Set the header's RoPE scaling in the configuration, which transformers does not; the names of
    what cannot be used."""
    scaling_type = _header_field(reader, "rope.scaling.type", architecture=True)
    parameters = dict(getattr(config, "rope_parameters", None) or {})
    if scaling_type in (None, "none") or parameters.get("rope_type", "default") != "default":
        return []
    factor = _header_field(reader, "rope.scaling.factor", architecture=True)
    if scaling_type not in ("linear", "yarn") or not factor or not parameters:
        return [f"rope.scaling.type {scaling_type}"]
    scaling: dict[str, Any] = {"rope_type": str(scaling_type), "factor": float(factor)}
    original = _header_field(reader, "rope.scaling.original_context_length", architecture=True)
    if scaling_type == "yarn" and original:
        scaling["original_max_position_embeddings"] = int(original)
    config.rope_parameters = parameters | scaling
    return []


def _apply_end_tokens(reader: Any, model: Any, tokenizer: Any) -> None:
    """Set the tokens that end a turn, and whether a text begins with BOS, from the header."""
    from tokenizers.processors import TemplateProcessing

    ends = model.generation_config.eos_token_id
    ends = list(ends) if isinstance(ends, list) else [ends]
    keys = ("eos_token_id", "eot_token_id", "eom_token_id")
    ends += [_header_field(reader, f"tokenizer.ggml.{key}") for key in keys]
    end_tokens = sorted({int(end) for end in ends if end is not None})
    if end_tokens:
        model.generation_config.eos_token_id = end_tokens
    begins = bool(_header_field(reader, "tokenizer.ggml.add_bos_token"))
    bos = tokenizer.bos_token_id
    if begins and bos is not None and list(tokenizer("a").input_ids[:1]) != [bos]:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=[tokenizer.bos_token, "$A"],
            pair=[tokenizer.bos_token, "$A", "$B"],
            special_tokens=[(tokenizer.bos_token, bos)],
        )


def _apply_rope_factors(reader: Any, config: Any) -> bool:
    """Set the RoPE scaling of Llama 3.1 and later (rope_type llama3) in the configuration, if the
    file's rotation factors are those of that scaling; False if they are others."""
    import numpy as np

    parameters = dict(getattr(config, "rope_parameters", None) or {})
    (factors,) = (t.data for t in reader.tensors if t.name == "rope_freqs.weight")
    factors = np.asarray(factors, np.float64)
    largest, context = float(factors.max()), 8192.0
    if parameters.get("rope_type", "default") != "default" or largest <= 1.0:
        return bool((factors == 1.0).all())
    exponents = np.arange(len(factors)) / len(factors)
    turns = context * float(parameters["rope_theta"]) ** -exponents / (2 * np.pi)
    share = np.clip((turns - 1.0) / (4.0 - 1.0), 0.0, 1.0)
    if not np.allclose(1.0 / ((1.0 - share) / largest + share), factors, rtol=1e-3):
        return False
    scaling = {"rope_type": "llama3", "factor": largest, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": int(context)}
    config.rope_parameters = parameters | scaling
    return True


def _dtype_of(kind: str) -> Any:
    import torch

    # Quantised weights are integers times a float16 scale: float16 has precision enough.
    return {"F32": torch.float32, "F64": torch.float32, "BF16": torch.bfloat16}.get(
        kind, torch.float16
    )


def _cast(tensor: Any, dtype: Any) -> Any:
    """The tensor in another dtype, unless a finite number would become infinite."""
    if tensor.dtype == dtype:
        return tensor
    cast = tensor.to(dtype)
    return cast if bool(cast.isfinite().all()) or not bool(tensor.isfinite().all()) else tensor


def read_gguf(
    path: Path, dtype: Any, progress: ProgressCallback | None = None
) -> tuple[Any, Any, str]:
    """The model (``dtype`` a torch dtype), the tokenizer and the SHA-256 of a GGUF file.

    It is converted once and stored in the cache under its hash; if the cache cannot be written,
    it is converted at every load. Raises ModelCorrupt, ModelError, NoSpace.
    """
    require_no_lfs_pointer(path)
    digest = file_sha256(path)
    folder = conversion_folder(digest)
    if is_stored(folder):
        try:
            check_sizes(folder, path.name)
            return *read_checkpoint(folder, dtype), digest
        except ModelCorrupt:
            delete_folder(folder)  # it is converted again below
    with progress_bar(progress) as report:
        report(f"converting {path.name}", 0, 0)
        try:
            _store_conversion(path, folder)
        except OSError:
            return *_convert_temporarily(path, dtype), digest
    return *read_checkpoint(folder, dtype), digest


def is_gguf(path: Path) -> bool:
    """Whether a file is a GGUF file by its first bytes; some tools name such files by a hash."""
    with path.open("rb") as opened:
        return opened.read(4) == b"GGUF"


def conversion_folder(digest: str) -> Path:
    """The folder of the conversion of a file with that SHA-256."""
    return cache_home() / "models" / "gguf" / f"{digest}-{CONVERSION_FORMAT}"


def conversions() -> dict[str, list[Path]]:
    """The folders of converted files by file name."""
    folders: dict[str, list[Path]] = {}
    for manifest in sorted((cache_home() / "models" / "gguf").glob(f"*/{MANIFEST}")):
        source = str(read_json_object(manifest).get("source"))
        folders.setdefault(source, []).append(manifest.parent)
    return folders


def remove_conversions(name: str) -> bool:
    """Delete the conversions of GGUF files of that name; True if there were any."""
    folders = conversions().get(Path(name).name, [])
    for folder in folders:
        delete_folder(folder)
    return bool(folders)


def _store_conversion(path: Path, folder: Path) -> None:
    with scratch_folder(folder) as work:
        ready = work / "ready"
        ready.mkdir()
        gguf_to_folder(path, ready)
        write_manifest(ready, path.stem, path.name)
        move_into_place(ready, folder)


def _convert_temporarily(path: Path, dtype: Any) -> tuple[Any, Any]:
    try:
        with TemporaryDirectory(prefix="denizens-gguf-") as work:
            gguf_to_folder(path, Path(work))
            return read_checkpoint(Path(work), dtype)
    except OSError as error:
        raise NoSpace(
            f"{path}: there is no room for its conversion, neither in {cache_home()} nor in the "
            f"temporary folder ({error.strerror or error}); make room or set DENIZENS_HOME to "
            "another disk"
        ) from error
