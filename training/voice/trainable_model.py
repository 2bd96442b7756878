"""A base model with the weights that a training method changes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core import Json, ModelError, SettingError, atomic_path
from ..samples import Sample
from .encoded_samples import EncodedSample, encode_sample, padded_batch
from .voice_settings import VoiceSettings

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

FROZEN_SHARE = 0.25
"""The share of the layers, the last ones, that the method ``frozen`` trains."""


def require_training_extra() -> None:
    """Raises SettingError unless the libraries of the extra ``train`` are installed."""
    missing = [name for name in ("peft", "accelerate") if find_spec(name) is None]
    if missing:
        raise SettingError(
            f"training needs {' and '.join(missing)}; install the extra: "
            "pip install 'denizens[train]'"
        )


class TrainableModel:
    """A model on its device, and the weights of it that are trained.

    ``start`` is the folder of a voice that the training begins from. ``process`` is how many
    processes train together, and which of them this is (``accelerate launch``).
    """

    def __init__(self, settings: VoiceSettings, start: Path | None = None) -> None:
        """Load the base model. Raises SettingError, ModelError."""
        require_training_extra()
        import torch
        from accelerate import Accelerator

        from ...models import pick_device, read_model
        from ...models.engine import PromptBuilder
        from ...models.files import silence_libraries

        self.settings = settings
        device = pick_device(settings.device)
        # With adapters the frozen base is stored in the narrow type; else products are computed in
        # it and the weights stay in float32.
        narrow = settings.dtype == "bfloat16"
        lora = settings.method == "lora"
        mixed = "bf16" if narrow and not lora else "no"
        self.accelerator: Any = Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)
        dtype = torch.bfloat16 if narrow and lora else torch.float32
        model, tokenizer, self.base_digest = read_model(settings.base, dtype, None)
        self.tokenizer: Any = tokenizer
        vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self.builder = PromptBuilder(tokenizer, settings.window, vocabulary)
        with torch.random.fork_rng(), silence_libraries():
            torch.manual_seed(settings.seed)
            self.model: Any = _with_method(model, settings, start)
        self._takes_positions = _takes(model, "logits_to_keep")
        self.model.to(self.accelerator.device)
        self.model.train()
        self.weights: dict[str, Any] = {
            name: weight for name, weight in self.model.named_parameters() if weight.requires_grad
        }
        self._wrapped: Any = self.accelerator.prepare_model(self.model)

    @property
    def processes(self) -> tuple[int, int]:
        """How many processes train together, and which of them this is."""
        return self.accelerator.num_processes, self.accelerator.process_index

    @property
    def rows(self) -> int:
        """How many samples go through the model at a time."""
        on_cpu = self.accelerator.device.type == "cpu"
        return self.settings.rows or (1 if on_cpu else self.settings.batch)

    def encode(self, samples: Sequence[Sample]) -> list[EncodedSample]:
        """Samples as token ids, without those that have no target in the window."""
        encoded = (encode_sample(one, self.builder, self.settings.window) for one in samples)
        return [sample for sample in encoded if sample.target_count]

    def loss(self, samples: Sequence[EncodedSample], *, wrapped: bool = True) -> Tensor:
        """The sum of the negative log-likelihoods of the target tokens, in nats."""
        import torch

        ids, mask, targets = padded_batch(samples, self.accelerator.device)
        wanted = targets[:, 1:]
        positions = wanted.any(0).nonzero().squeeze(1)
        # Without padding the attention is simply causal, for which there are faster kernels.
        inputs = {"input_ids": ids, "attention_mask": None if bool(mask.all()) else mask}
        if self._takes_positions:
            inputs["logits_to_keep"] = positions
        model = self._wrapped if wrapped else self.model
        logits = model(**inputs, use_cache=False).logits
        if not self._takes_positions:
            logits = logits[:, positions]
        chosen = wanted[:, positions]
        true = ids[:, 1:][:, positions][chosen]
        return torch.nn.functional.cross_entropy(logits[chosen].float(), true, reduction="sum")

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        self.accelerator.backward(loss)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """A block without gradients and dropout."""
        import torch

        self.model.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.model.train()

    def load_weights(self, tensors: dict[str, Any]) -> None:
        """Set the trained weights. Raises ModelError if they are those of another model."""
        import torch

        for name, weight in self.weights.items():
            if name not in tensors or tensors[name].shape != weight.shape:
                raise ModelError(f"the stored weights do not fit: '{name}' differs; train anew")
            with torch.no_grad():
                weight.copy_(tensors[name])

    # -- saving ------------------------------------------------------------------------------

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write the trained voice and return its files: an adapter in peft's format, or for the
        methods ``full`` and ``frozen`` a whole model with its tokenizer, which ``load_model``
        loads by the folder's name."""
        from ...models.files import silence_libraries

        folder.mkdir(parents=True, exist_ok=True)
        if self.settings.method == "lora":
            return self._save_adapter(folder)
        with silence_libraries():
            self.model.save_pretrained(str(folder))
            self.tokenizer.save_pretrained(str(folder))
        kinds = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
        own = ("voice.json", "training.json", "checkpoint.safetensors")
        files = {file for kind in kinds for file in folder.glob(kind)}
        return tuple(sorted(file for file in files if file.name not in own))

    def _save_adapter(self, folder: Path) -> tuple[Path, ...]:
        import torch
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        tensors = {
            # In bfloat16 an adapter is half as large; its float32 weights are in the checkpoint.
            name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
            for name, tensor in sorted(get_peft_model_state_dict(self.model).items())
        }
        weights, config = folder / ADAPTER_WEIGHTS, folder / ADAPTER_CONFIG
        with atomic_path(weights) as part:
            save_file(tensors, part, metadata={"format": "pt"})
        with atomic_path(config) as part:
            text = json.dumps(_adapter_config(self.model, self.settings), indent=2, sort_keys=True)
            part.write_text(text + "\n", encoding="utf-8")
        return config, weights


def base_name(base: str) -> str:
    """The name of a base model for files that go elsewhere: of a path its last part.

    >>> base_name("smollm2"), base_name("Qwen/Qwen3-8B")
    ('smollm2', 'Qwen/Qwen3-8B')
    """
    path = Path(base).expanduser()
    return path.resolve().name if path.exists() else base


def _with_method(model: Any, settings: VoiceSettings, start: Path | None) -> Any:
    """The model with adapters, or with the weights that are trained marked."""
    if settings.method == "lora":
        return _with_adapter(model, settings, start)
    if start is not None:
        raise SettingError(
            f"{start}: a voice to begin from is an adapter, which the method '{settings.method}' "
            "does not train; use the method lora"
        )
    layers = getattr(model.get_decoder(), "layers", None)
    if settings.method == "full" or layers is None:
        if settings.method == "frozen":
            raise ModelError(
                f"{settings.base}: has no list of layers, so none can be frozen; use lora"
            )
        model.requires_grad_(True)
        return model
    model.requires_grad_(False)
    count = max(1, round(len(layers) * FROZEN_SHARE))
    for layer in layers[-count:]:
        layer.requires_grad_(True)
    norm = getattr(model.get_decoder(), "norm", None)
    if norm is not None:
        norm.requires_grad_(True)
    return model


def _with_adapter(model: Any, settings: VoiceSettings, start: Path | None) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model

    if start is not None:
        if not (start / ADAPTER_CONFIG).is_file():
            raise ModelError(f"{start}: holds no {ADAPTER_CONFIG}, so no voice to begin from")
        return PeftModel.from_pretrained(model, str(start), is_trainable=True)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _adapter_config(model: Any, settings: VoiceSettings) -> dict[str, Json]:
    """The adapter's configuration in peft's format, with the base model's name in place of its
    folder."""
    config: dict[str, Any] = model.peft_config["default"].to_dict()
    config["base_model_name_or_path"] = base_name(settings.base)
    config["inference_mode"] = True
    return {
        key: sorted(value) if isinstance(value, set) else getattr(value, "value", value)
        for key, value in config.items()
    }


def _takes(model: Any, name: str) -> bool:
    """Whether a model computes logits only where it is asked to."""
    return name in inspect.signature(model.forward).parameters
