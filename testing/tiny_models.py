"""Model folders with random weights, written in a second, for tests without a download.

Their answers make no sense, but they load, batch, sample and fail like those of a real model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models import use_passive_waiting

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = "the a of to and in is was for on with he she at by from they we say town baker bread"

LLAMA = {"intermediate_size": 128, "num_key_value_heads": 2}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", LLAMA),
    "qwen2": ("Qwen2Config", LLAMA),
    "qwen3": ("Qwen3Config", {**LLAMA, "head_dim": 16}),
    "mistral": ("MistralConfig", {**LLAMA, "sliding_window": 24}),
    "gemma2": ("Gemma2Config", {**LLAMA, "head_dim": 16, "sliding_window": 24}),
    "granite": ("GraniteConfig", {**LLAMA, "logits_scaling": 4.0, "attention_multiplier": 0.1}),
    "phi3": ("Phi3Config", LLAMA),
    "gpt_neox": ("GPTNeoXConfig", {"intermediate_size": 128}),
    "bloom": ("BloomConfig", {}),
    "mamba": ("MambaConfig", {"state_size": 8}),
    "recurrent_gemma": (
        "RecurrentGemmaConfig",
        {**LLAMA, "num_hidden_layers": 3, "attention_window_size": 24, "lru_width": 64},
    ),
}


def write_tiny_model(
    folder: Path, *, seed: int = 0, window: int = 512, kind: str = "llama", **settings: Any
) -> Path:
    """Write a two-layer language model (64 wide, byte-level tokens, ChatML); returns the folder.

    Equal seeds give equal weights. ``window`` is its longest context in tokens, ``kind`` one of
    ARCHITECTURES; ``settings`` go into its transformers configuration.
    """
    use_passive_waiting()
    import torch
    import transformers

    library: Any = transformers
    tokenizer = _tokenizer()
    name, architecture = ARCHITECTURES[kind]
    defaults = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": window,
        "initializer_range": 0.3,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = getattr(library, name)(**{**defaults, **architecture, **settings})
        model = library.AutoModelForCausalLM.from_config(config)
        if kind != "llama":
            # Biases begin as zeros and norms as ones, which would hide code that omits them.
            for weight in model.parameters():
                if weight.dim() == 1:
                    weight.data += 0.2 * torch.randn_like(weight)
        model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def write_tiny_voice(
    folder: Path,
    model: Path,
    *,
    seed: int = 0,
    rank: int = 4,
    strength: float = 0.2,
    targets: Sequence[str] = (),
    **settings: Any,
) -> Path:
    """Write a voice with random weights for a tiny model, in peft's format; returns the folder.

    It adapts the linear layers whose paths end in one of ``targets``, all but the output layer by
    default. ``strength``: the standard deviation of its weights. ``settings`` go into its
    ``adapter_config.json``.
    """
    use_passive_waiting()
    import torch
    import transformers
    from safetensors.torch import save_file

    from ..models.engine import linear_shapes

    library: Any = transformers
    base = library.AutoModelForCausalLM.from_config(library.AutoConfig.from_pretrained(str(model)))
    shapes = linear_shapes(base)
    paths = [path for path in shapes if not targets or path.endswith(tuple(targets))]
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for path in paths:
        out, width = shapes[path]
        for part, shape in (("A", (rank, width)), ("B", (out, rank))):
            weight = strength * torch.randn(shape, generator=generator)
            tensors[f"base_model.model.{path}.lora_{part}.weight"] = weight
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(model),
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted({path.rpartition(".")[2] for path in paths}),
        "bias": "none",
        **settings,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return folder


def write_tiny_embedder(folder: Path, *, seed: int = 0) -> Path:
    """Write a one-layer BERT of random weights (32 wide); returns the folder."""
    use_passive_waiting()
    import torch
    import transformers

    library: Any = transformers
    tokenizer = _tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = library.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            pad_token_id=tokenizer.pad_token_id,
        )
        library.BertModel(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def _tokenizer() -> Any:
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    library: Any = transformers
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([WORDS, " ".join(reversed(WORDS.split()))], trainer)
    tokenizer = library.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
