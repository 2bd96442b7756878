"""From a GGUF file to a folder of safetensors, which loads in a twentieth of the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core import ModelCorrupt
from .quiet import quiet


def read_gguf(path: Path, dtype: Any) -> tuple[Any, Any]:
    """The model (``dtype`` a torch dtype) and the tokenizer in a GGUF file.

    Through transformers' own tensor reader and not ``from_pretrained(gguf_file=)``, which
    wants the accelerate package for nothing. Raises ModelCorrupt.
    """
    import torch
    import transformers
    from transformers import modeling_gguf_pytorch_utils

    # Untyped as released; Any says so once.
    library: Any = transformers
    reader: Any = modeling_gguf_pytorch_utils

    where = {"gguf_file": path.name}
    try:
        with quiet():
            config = library.AutoConfig.from_pretrained(str(path.parent), **where)
            with torch.device("meta"):
                empty = library.AutoModelForCausalLM.from_config(config, dtype=dtype)
            tensors = reader.load_gguf_checkpoint(
                str(path), return_tensors=True, model_to_load=empty, torch_dtype=dtype
            )["tensors"]
            tokenizer = library.AutoTokenizer.from_pretrained(str(path.parent), **where)
            model = library.AutoModelForCausalLM.from_config(config, dtype=dtype)
            lost = model.load_state_dict(tensors, strict=False)
            model.tie_weights()
    except (ValueError, KeyError, IndexError, RuntimeError, OSError, TypeError) as error:
        raise ModelCorrupt(
            f"{path}: cannot be read as a GGUF model ({error}); fetch the file again"
        ) from error
    missing = [name for name in lost.missing_keys if name != "lm_head.weight"]
    if missing or lost.unexpected_keys:
        names = ", ".join([*missing, *lost.unexpected_keys][:4])
        raise ModelCorrupt(f"{path}: lacks or misnames tensors ({names}); fetch the file again")
    return model.eval(), tokenizer


def gguf_to_folder(gguf: Path, folder: Path) -> None:
    """Write the model as bfloat16 safetensors with its tokenizer. Raises ModelCorrupt."""
    import torch

    model, tokenizer = read_gguf(gguf, torch.bfloat16)
    with quiet():
        model.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
