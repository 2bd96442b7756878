"""From a GGUF file to a folder of safetensors, which loads in a twentieth of the time.

Converted GGUF files: each is read once, then loads like a packaged model.
"""

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

from ...core import (
    ModelCorrupt,
    ModelError,
    NoSpace,
)
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

LONG_ARRAY = 4096  # entries; longer arrays are vocabularies, which the tokenizer reads by itself
UNUSED_LAYERS = (".nextn.",)  # layers that guess several tokens ahead, which the engine never runs
SPLIT_FILE = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
ROTATION_TENSORS = ("rope_freqs", "rope_factors")


def gguf_to_folder(gguf: Path, folder: Path, dtype: Any = None) -> None:
    """Write the model as safetensors with its tokenizer. ``dtype``: a torch dtype; None keeps
    for each tensor about the precision that it has in the file.

    Raises ModelCorrupt for a damaged file, ModelError for a kind of model that cannot be read,
    OSError where the folder cannot be written.
    """
    try:
        with silence_libraries():
            rotations = _convert(gguf, folder, dtype)
    except (ModelError, MemoryError):
        raise
    # safetensors and tokenizers raise bare Exception subclasses of their own.
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
    """Write the folder; the names of tensors of rotations, which have no place in it."""
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
        length = _header_field(reader, "attention.key_length", own=True)
        if length and "head_dim" not in content["config"] and hasattr(config, "head_dim"):
            config.head_dim = int(length)
        with torch.device("meta"):
            model = library.AutoModelForCausalLM.from_config(config, dtype=dtype or torch.float16)
        tensors, unknown = _read_tensors(reader, content, model, dtype)
        tokenizer = library.AutoTokenizer.from_pretrained(str(gguf.parent), **where)
    lost = model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    rotations = [name for name in unknown if name.startswith(ROTATION_TENSORS)]
    unknown = [name for name in unknown if name not in rotations]
    if rotations == ["rope_freqs.weight"] and _apply_rope_factors(reader, model.config):
        rotations = []
    rotations += _apply_rope_scaling(reader, model.config)
    _apply_end_tokens(reader, model, tokenizer)
    state = model.state_dict()
    missing = [name for name in lost.missing_keys if state[name].is_meta]
    wrong = [*missing, *lost.unexpected_keys, *unknown]
    if wrong:
        raise ModelCorrupt(
            f"{gguf}: lacks or misnames tensors ({list_names(wrong)}); fetch the file again"
        )
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return rotations


def _parse_header(path: Path) -> tuple[Any, dict[str, Any]]:
    """The file's reader and what transformers makes of its header, which is parsed once:
    three times, with every word of the vocabulary, took two minutes for 250 MB."""
    import gguf
    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    module: Any = gguf

    class Reader(gguf.GGUFReader):
        """Leaves long arrays out."""

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
    plain = module.GGUFReader
    module.GGUFReader = lambda *_: reader
    try:
        content: dict[str, Any] = library.load_gguf_checkpoint(str(path))
    finally:
        module.GGUFReader = plain
    kind = library.read_field(reader, "general.type") or ["model"]
    if kind[0] != "model":
        raise ModelError(
            f"{path}: is a part of a model ({kind[0]}); join it with its base, or name the base"
        )
    words = reader.fields.get("tokenizer.ggml.tokens")
    if words is not None and not content["config"].get("vocab_size"):
        count = struct.unpack_from("<IQ", reader.data, words.offset + _key_length(words) + 4)[1]
        content["config"]["vocab_size"] = int(count)
    return reader, content


def _key_length(field: Any) -> int:
    """Bytes of a field's name as it stands in the file."""
    return int(field.parts[0].nbytes + field.parts[1].nbytes)


def _array_end(data: Any, at: int, kind: int, count: int) -> int:
    """Where an array of a GGUF header ends."""
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
    """Within it transformers is given the header's content instead of parsing it again."""
    from copy import deepcopy

    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    plain = library.load_gguf_checkpoint
    library.load_gguf_checkpoint = lambda *_, **__: deepcopy(content)
    try:
        yield
    finally:
        library.load_gguf_checkpoint = plain


def _read_tensors(
    reader: Any, content: dict[str, Any], model: Any, dtype: Any
) -> tuple[dict[str, Any], list[str]]:
    """The tensors by the model's names for them, and the file's names of those that it has no
    place for. As transformers' ``load_gguf_checkpoint`` reads them, which passes over those."""
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
    kinds: dict[str, Any] = {}
    for tensor in reader.tensors:
        kind = dtype or _dtype_of(tensor.tensor_type.name)
        result = processor.process(
            weights=dequantize(tensor.data, tensor.tensor_type),
            name=tensor.name,
            tensor_key_mapping=names,
            parsed_parameters=content,
        )
        if result.name in names:
            own = names[result.name]
            tensors[own] = _cast(torch.from_numpy(np.copy(result.weights)), kind)
            kinds[own] = kind
        elif result.name is not None and not any(part in tensor.name for part in UNUSED_LAYERS):
            unknown.append(tensor.name)
        # Some processors put the parts of a tensor in their places by themselves.
        for own in list(tensors)[len(kinds) :]:
            kinds[own] = kind
    return {name: _cast(tensor, kinds[name]) for name, tensor in tensors.items()}, unknown


def _header_field(reader: Any, name: str, *, own: bool = False) -> Any:
    """A number or text of the header, of the architecture's ``own``; None where there is none."""
    from transformers import modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    prefix = library.read_field(reader, "general.architecture")[0] + "." if own else ""
    found = library.read_field(reader, prefix + name)
    return found[0] if found else None


def _apply_rope_scaling(reader: Any, config: Any) -> list[str]:
    """Put the scaling of rotations that the header names into the configuration, which
    transformers passes over; what of it cannot be used."""
    kind = _header_field(reader, "rope.scaling.type", own=True)
    usual = dict(getattr(config, "rope_parameters", None) or {})
    if kind in (None, "none") or usual.get("rope_type", "default") != "default":
        return []
    factor = _header_field(reader, "rope.scaling.factor", own=True)
    if kind not in ("linear", "yarn") or not factor or not usual:
        return [f"rope.scaling.type {kind}"]
    scaling: dict[str, Any] = {"rope_type": str(kind), "factor": float(factor)}
    original = _header_field(reader, "rope.scaling.original_context_length", own=True)
    if kind == "yarn" and original:
        scaling["original_max_position_embeddings"] = int(original)
    config.rope_parameters = usual | scaling
    return []


def _apply_end_tokens(reader: Any, model: Any, tokenizer: Any) -> None:
    """The tokens that end a turn, and whether a text begins with BOS, by the header."""
    from tokenizers.processors import TemplateProcessing

    ends = model.generation_config.eos_token_id
    ends = list(ends) if isinstance(ends, list) else [ends]
    keys = ("eos_token_id", "eot_token_id", "eom_token_id")
    ends += [_header_field(reader, f"tokenizer.ggml.{key}") for key in keys]
    known = sorted({int(end) for end in ends if end is not None})
    if known:
        model.generation_config.eos_token_id = known
    begins = bool(_header_field(reader, "tokenizer.ggml.add_bos_token"))
    bos = tokenizer.bos_token_id
    if begins and bos is not None and list(tokenizer("a").input_ids[:1]) != [bos]:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=[tokenizer.bos_token, "$A"],
            pair=[tokenizer.bos_token, "$A", "$B"],
            special_tokens=[(tokenizer.bos_token, bos)],
        )


def _apply_rope_factors(reader: Any, config: Any) -> bool:
    """Put into the configuration what a file tells as factors of its rotations: the scaling of
    Llama 3.1 and later (transformers' rope_type llama3), if that is what they are."""
    import numpy as np

    usual = dict(getattr(config, "rope_parameters", None) or {})
    (factors,) = (t.data for t in reader.tensors if t.name == "rope_freqs.weight")
    factors = np.asarray(factors, np.float64)
    largest, context = float(factors.max()), 8192.0
    if usual.get("rope_type", "default") != "default" or largest <= 1.0:
        return bool((factors == 1.0).all())
    exponents = np.arange(len(factors)) / len(factors)
    turns = context * float(usual["rope_theta"]) ** -exponents / (2 * np.pi)
    share = np.clip((turns - 1.0) / (4.0 - 1.0), 0.0, 1.0)
    if not np.allclose(1.0 / ((1.0 - share) / largest + share), factors, rtol=1e-3):
        return False
    scaling = {"rope_type": "llama3", "factor": largest, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": int(context)}
    config.rope_parameters = usual | scaling
    return True


def _dtype_of(kind: str) -> Any:
    import torch

    # Quantised weights are small numbers times a float16: float16 keeps more of them than
    # they tell.
    return {"F32": torch.float32, "F64": torch.float32, "BF16": torch.bfloat16}.get(
        kind, torch.float16
    )


def _cast(tensor: Any, dtype: Any) -> Any:
    """In another dtype, unless a number of it would become infinite."""
    if tensor.dtype == dtype:
        return tensor
    cast = tensor.to(dtype)
    return cast if bool(cast.isfinite().all()) or not bool(tensor.isfinite().all()) else tensor


CONVERSION_FORMAT = "2"  # of what is stored; another one is converted anew


def read_gguf(
    path: Path, dtype: Any, progress: ProgressCallback | None = None
) -> tuple[Any, Any, str]:
    """The model (``dtype`` a torch dtype), the tokenizer and the SHA-256 of a GGUF file.

    The first time it is converted and stored in the cache by its content; where the cache
    cannot be written, every time. Raises ModelCorrupt, ModelError, NoSpace.
    """
    require_no_lfs_pointer(path)
    digest = file_sha256(path)
    folder = conversion_folder(digest)
    if is_stored(folder):
        try:
            check_sizes(folder, path.name)
            return *read_checkpoint(folder, dtype), digest
        except ModelCorrupt:
            delete_folder(folder)  # what is made of the file can be made again
    with progress_bar(progress) as report:
        report(f"converting {path.name}", 0, 0)
        try:
            _store_conversion(path, folder)
        except OSError:
            return *_convert_temporarily(path, dtype), digest
    return *read_checkpoint(folder, dtype), digest


def is_gguf(path: Path) -> bool:
    """Whether a file is a GGUF file by its first bytes: some keep them under a hash."""
    with path.open("rb") as opened:
        return opened.read(4) == b"GGUF"


def conversion_folder(digest: str) -> Path:
    """Where the conversion of a file of that SHA-256 is, or would be."""
    return cache_home() / "models" / "gguf" / f"{digest}-{CONVERSION_FORMAT}"


def conversions() -> dict[str, list[Path]]:
    """The folders of converted files by the files' names."""
    folders: dict[str, list[Path]] = {}
    for manifest in sorted((cache_home() / "models" / "gguf").glob(f"*/{MANIFEST}")):
        source = str(read_json_object(manifest).get("source"))
        folders.setdefault(source, []).append(manifest.parent)
    return folders


def remove_conversions(name: str) -> bool:
    """Delete what was made of GGUF files of that name; whether there was something."""
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
            f"{path}: its conversion finds no room, neither in {cache_home()} nor in the temporary "
            f"folder ({error.strerror or error}); make room or set DENIZENS_HOME to another disk"
        ) from error
