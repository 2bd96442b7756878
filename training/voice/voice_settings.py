"""The settings of a training, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias, get_args

from ...core import Json, SettingError, did_you_mean

TrainingMethod: TypeAlias = Literal["lora", "full", "frozen"]
METHODS: tuple[TrainingMethod, ...] = get_args(TrainingMethod)

LEARNING_RATES: dict[TrainingMethod, float] = {"lora": 6e-4, "full": 5e-5, "frozen": 1e-4}
"""Learning rates where none is given. Adapters begin at zero and take a larger one."""

MACHINE_SETTINGS = ("device", "rows")
"""Settings that a resumed training may change: they say where it runs, not what it learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """How a voice is trained.

    ``method``: ``lora`` trains adapters of rank ``rank`` on all linear layers (Hu et al. 2021);
    ``full`` all weights; ``frozen`` the last quarter of the layers and the last norm, with the
    layers below and the embeddings frozen. ``base`` is a model's name, as for ``load_model``.

    The training ends after ``tokens`` tokens (0: no bound) or ``minutes`` of training (0: no
    bound), whichever comes first, or when the loss on the check part has not fallen in
    ``patience`` checks; the weights of the best check are kept. The learning rate rises over the
    first ``warmup`` of the training and falls by half a cosine to a tenth. ``batch`` samples of at
    most ``window`` tokens make a step; ``rows`` of them go through the model at a time (0: one on a
    CPU, all on a GPU). ``checks`` is the number of checks, ``check_share`` the share of dialogues
    that is set aside for them where no check data are given. ``general_share`` is the share of
    samples from general dialogues when a person's own lines are learned.
    """

    method: TrainingMethod = "lora"
    base: str = "smollm2"
    rank: int = 16
    learning_rate: float = 0.0
    tokens: int = 400_000
    minutes: float = 0.0
    batch: int = 4
    window: int = 512
    rows: int = 0
    warmup: float = 0.05
    checks: int = 8
    patience: int = 3
    check_share: float = 0.1
    general_share: float = 0.3
    seed: int = 1
    device: str = "auto"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        """Raises SettingError, which names the setting."""
        if self.method not in METHODS:
            hint = did_you_mean(self.method, METHODS)
            raise SettingError(f"method '{self.method}' is unknown{hint}; one of {METHODS}")
        if self.dtype not in ("float32", "bfloat16"):
            raise SettingError(f"dtype '{self.dtype}' cannot be trained in; float32 or bfloat16")
        bounds: dict[str, tuple[float, float]] = {
            "rank": (1, 1024),
            "learning_rate": (0, 1),
            "tokens": (0, 1e12),
            "minutes": (0, 1e6),
            "batch": (1, 4096),
            "window": (32, 1_000_000),
            "rows": (0, 4096),
            "warmup": (0, 0.9),
            "checks": (1, 1000),
            "patience": (1, 1000),
            "check_share": (0.01, 0.9),
            "general_share": (0, 0.95),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingError(f"{name} is {value}; it must lie between {low:g} and {high:g}")
        if not self.tokens and not self.minutes:
            raise SettingError("tokens and minutes are both 0, so the training would never end")

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or LEARNING_RATES[self.method]

    def learned_settings(self) -> dict[str, Json]:
        """The settings that decide what is learned: a resumed training must have equal ones."""
        return {key: value for key, value in asdict(self).items() if key not in MACHINE_SETTINGS}
