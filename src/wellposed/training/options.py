"""How to train: every number of a training run, in one place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, final

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name

__all__ = ["Options", "Precision", "ScheduleName"]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
"""What the network computes in; its weights stay in single precision."""

ScheduleName: TypeAlias = Literal["constant", "cosine", "linear", "step"]
"""The shape of the learning rate."""

_NAMES = {
    "optimiser": ("adam", "adamw", "muon"),
    "schedule": ("constant", "cosine", "linear", "step"),
    "precision": ("fp32", "bf16", "fp16"),
    "weighting": ("none", "snr"),
    "device": ("auto", "cpu", "cuda", "mps"),
}
_WHOLE = {
    "steps": 1,
    "batch": 1,
    "accumulate": 1,
    "warmup": 0,
    "cooldown": 0,
    "rewarm": 0,
    "seed": 0,
    "log_every": 1,
    "validate_every": 1,
    "validation_batch": 1,
    "checkpoint_every": 1,
}
_RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "learning_rate": ("above 0", lambda value: value > 0),
    "weight_decay": ("of at least 0", lambda value: value >= 0),
    "clip": ("above 0", lambda value: value > 0),
    "factor": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    "final_ratio": ("between 0 and 1", lambda value: 0 <= value <= 1),
    "ema": ("of at least 0 and below 1", lambda value: 0 <= value < 1),
    "betas": ("of at least 0 and below 1", lambda value: 0 <= value < 1),
    "milestones": ("above 0 and below 1", lambda value: 0 < value < 1),
}
_WITHOUT_EFFECT = ("device", "log_every", "validation_batch", "checkpoint_every", "light", "panels", "tensorboard")


@final
@dataclass(frozen=True, kw_only=True)
class Options:
    r"""The numbers of a training run; each is checked when the object is made.

    Parameters
    ----------
    steps : int
        How many times the weights are moved.
    batch : int
        Images a step of each problem, unless its `Exercise` says otherwise.
    accumulate : int
        Parts into which each of these batches is cut. The parts are drawn and differentiated one after the other, so
        that less memory is needed, and they are what several processes share.
    problems_per_step : int, optional
        Draw so many problems at random for each step; by default every step has them all.
    optimiser : {"adam", "adamw", "muon"}
        "muon" moves hidden layers as matrices, in fewer but dearer steps than Adam; see `training.optimiser`.
    learning_rate : float
        The largest one.
    betas : tuple of float
        Decay of the two moments of the gradient.
    weight_decay : float
        Of AdamW.
    clip : float, optional
        Longest gradient: a longer one is shortened to it. By default none is.
    schedule : {"constant", "cosine", "linear", "step"}
        See `learning_rate_at`.
    warmup, cooldown : int
        First steps in which the learning rate rises to its schedule, and last ones in which it falls to zero.
    milestones : tuple of float
        For "step": the fractions of the training at which the learning rate is multiplied by `factor`.
    factor : float
    final_ratio : float
        For "cosine" and "linear": what is left of the learning rate at the end.
    ema : float
        Decay of the moving average of the weights, which is what is validated and kept; 0 is the last weights.
    weighting : {"none", "snr"}
        Weight of each image in the loss; see `snr_weight`.
    precision : {"fp32", "bf16", "fp16"}
        What the network computes in. The physics stays in single precision.
    compile : bool
        Compile the network's trunk with `torch.compile`.
    seed : int
        Everything random follows from it.
    device : {"auto", "cpu", "cuda", "mps"}
        "auto" is what Accelerate chooses.
    log_every, validate_every, checkpoint_every : int
        Steps between rows of the log, validations, and checkpoints.
    validation_batch : int
        Images of each validation problem.
    patience : int, optional
        Stop after so many validations in a row that are not better; by default never.
    rewarm : int
        Steps in which the learning rate rises again where the state of the optimiser was lost.
    light : bool
        Besides each last checkpoint write `light-*.safetensors`, half precision without the state of the optimiser, in
        files of at most 15 MB, for machines from which little comes back.
    panels, tensorboard : bool
        Write pictures at each validation; write TensorBoard's logs, if it is installed.

    Raises
    ------
    ArgumentError
        If a number makes no sense.
    UnknownNameError
        If there is no such optimiser, schedule, precision, weighting or device.

    Examples
    --------
    >>> Options(steps=1000, schedule="cosine", warmup=50).learning_rate
    0.0001
    """

    steps: int
    batch: int = 16
    accumulate: int = 1
    problems_per_step: int | None = None
    optimiser: Literal["adam", "adamw", "muon"] = "adam"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float | None = None
    schedule: ScheduleName = "constant"
    warmup: int = 0
    cooldown: int = 0
    milestones: tuple[float, ...] = (0.9,)
    factor: float = 0.1
    final_ratio: float = 0.0
    ema: float = 0.999
    weighting: Literal["none", "snr"] = "none"
    precision: Precision = "fp32"
    compile: bool = False
    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    log_every: int = 50
    validate_every: int = 1000
    validation_batch: int = 16
    checkpoint_every: int = 1000
    patience: int | None = None
    rewarm: int = 500
    light: bool = False
    panels: bool = True
    tensorboard: bool = True

    def __post_init__(self) -> None:
        for name, known in _NAMES.items():
            check_name(name, getattr(self, name), known)
        for name, least in _WHOLE.items():
            check_whole("Options", name, getattr(self, name), least=least)
        for name in ("problems_per_step", "patience"):
            if getattr(self, name) is not None:
                check_whole("Options", name, getattr(self, name), least=1)
        self._check_ranges()
        if len(self.betas) != 2:
            raise ArgumentError(f"Options expects betas to be two numbers, got {self.betas!r}.")
        if self.weight_decay and self.optimiser != "adamw":
            raise ArgumentError("Options has a weight_decay, which only the optimiser 'adamw' knows: choose it.")
        if self.warmup + self.cooldown > self.steps:
            raise ArgumentError(
                f"Options expects warmup and cooldown to fit into {self.steps} steps, "
                f"got {self.warmup} and {self.cooldown}."
            )

    def _check_ranges(self) -> None:
        for name, (range_text, is_within) in _RANGES.items():
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else () if value is None else (value,):
                if not (is_within(number) and math.isfinite(number)):
                    raise ArgumentError(f"Options expects {name} {range_text}, got {number!r}.")

    def decisive(self) -> dict[str, Any]:
        """Return the options on which the trained weights depend, as JSON knows them; the others may change."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in _WITHOUT_EFFECT}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
