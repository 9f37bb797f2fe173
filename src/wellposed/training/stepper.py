"""One step of training: the gradient of every micro-batch, shared by all processes, and what it does to the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, final

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError, FormatError
from wellposed.core.margins import fainter_margin
from wellposed.core.values import trusted_values
from wellposed.losses import Loss
from wellposed.models.base import lay_channels_last
from wellposed.training.average import MovingAverage
from wellposed.training.checkpoint import Checkpoint
from wellposed.training.gradients import FlatGradients
from wellposed.training.network import InPrecision, compile_trunk, moved
from wellposed.training.optimiser import Optimiser
from wellposed.training.options import Options
from wellposed.training.plan import Exercise, MicroBatch, derived_seed, plan
from wellposed.training.weighting import snr_weight

__all__ = ["Stepper"]

_WEIGHT_OF_MARGIN = 0.1
_FIRST_SCALE, _GROWTH_STEPS = 2.0**16, 2000


@final
class Stepper:
    """The weights in training, their average, and the optimiser.

    The micro-batches of a step are dealt to the processes in turn; gradients and losses are summed over them in one
    tensor, so that all processes move the same weights in the same way. Nothing is read from the device. From the first
    gradient on that is not finite the weights stay as they are, which half precision alone answers with another scale.
    The companions of the loss, which is copied too, learn beside it.

    Parameters
    ----------
    network : nn.Module
        It is copied.
    exercises : sequence of Exercise
    loss : Loss
    options : Options
    accelerator : accelerate.Accelerator
    device : torch.device
    """

    def __init__(
        self,
        network: nn.Module,
        exercises: Sequence[Exercise],
        loss: Loss,
        options: Options,
        accelerator: Any,
        device: torch.device,
    ) -> None:
        self.network = deepcopy(network).to(device).train()
        lay_channels_last(self.network)
        self.average = MovingAverage(self.network, options.ema)
        self._exercises, self._loss, self._options = exercises, deepcopy(loss), options
        self._companions = nn.ModuleList(self._loss.companions()).to(device)
        self._accelerator, self._device = accelerator, device
        movable = {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}
        self._gradients = FlatGradients(movable.values(), extra=len(exercises))
        self._optimiser = Optimiser(movable, options)
        self._stuck = torch.zeros((), device=device, dtype=torch.bool)
        self._scale = torch.full((), _FIRST_SCALE if options.precision == "fp16" else 1.0, device=device)
        self._calm = torch.zeros((), device=device)
        if options.compile:
            compile_trunk(self.network)
        self._model = InPrecision(self.network, options.precision)

    def advance(self, step: int, learning_rate: float) -> Tensor:
        """Take the step of that number, counted from 0.

        Returns
        -------
        Tensor, shape (problems + 1,)
            The mean loss of each problem, without weights (0 where the step has none of it), and the length of the
            gradient; on the device.
        """
        gradients = self._gradients
        gradients.clear()
        loss = self._loss.at(step / self._options.steps)
        model = loss.adapt(self._model)
        parts = plan(step, self._exercises, self._options)
        for part in parts[self._accelerator.process_index :: self._accelerator.num_processes]:
            self._differentiate(step, part, loss, model)
        if self._accelerator.num_processes > 1:
            gradients.whole.copy_(self._accelerator.reduce(gradients.whole, reduction="sum"))
            for value in self._companions.parameters():
                value.grad = torch.zeros_like(value) if value.grad is None else value.grad
            for slope in self._slopes():
                slope.copy_(self._accelerator.reduce(slope, reduction="sum"))
        length = torch.linalg.vector_norm(gradients.gradient) / self._scale
        self._move(length, learning_rate)
        self.average.follow(step)
        return torch.cat([gradients.extra, length.reshape(1)])

    def _differentiate(self, step: int, part: MicroBatch, loss: Loss, model: Callable[..., Tensor]) -> None:
        """Add the gradient of one micro-batch; its randomness is its own, and that of the loss another one."""
        stream = part.stream(step)
        torch.manual_seed(derived_seed(self._options.seed, f"{stream}, loss"))
        generator = torch.Generator(self._device).manual_seed(derived_seed(self._options.seed, stream))
        exercise = self._exercises[part.exercise]
        y, physics, x = moved(exercise.problem.batch(part.images, generator=generator), self._device)
        with trusted_values():
            x_hat = _seen(model(y, physics), x, exercise)
            values = loss(x_hat=x_hat, y=y, physics=physics, model=model, x=x)
            weights = snr_weight(y, physics) if self._options.weighting == "snr" else 1.0
        (self._scale * part.weight * (weights * values).mean()).backward()
        self._gradients.extra[part.exercise] += part.share * values.detach().mean()

    @torch.no_grad()
    def _move(self, length: Tensor, learning_rate: float) -> None:
        """Let the optimiser act, unless a number is not finite now or was so before."""
        options = self._options
        overflow = ~torch.isfinite(length)
        self._stuck |= ~torch.isfinite(self._gradients.extra).all()
        if options.precision != "fp16":
            self._stuck |= overflow
        if options.clip is not None:
            self._gradients.gradient.mul_((options.clip / length).clamp_max(1.0))
        if options.precision == "fp16":
            self._gradients.gradient.div_(self._scale)
        self._optimiser.move(learning_rate, unless=self._stuck | overflow)
        for slope in self._slopes():
            slope.div_(self._scale)
        for companion in self._loss.companions():
            companion.step(unless=self._stuck | overflow)
        if options.precision == "fp16":
            self._rescale(overflow)

    def _slopes(self) -> list[Tensor]:
        """Return the gradients of the companions of the loss."""
        return [value.grad for value in self._companions.parameters() if value.grad is not None]

    def _rescale(self, overflow: Tensor) -> None:
        """Halve the scale of the loss after an overflow, double it after two thousand steps without one."""
        self._calm = torch.where(overflow, 0, self._calm + 1)
        grown = self._calm >= _GROWTH_STEPS
        self._scale = torch.where(overflow, self._scale / 2, torch.where(grown, self._scale * 2, self._scale))
        self._calm = torch.where(grown, 0, self._calm)

    @property
    def loss(self) -> Loss:
        """The loss, with its companions as they are now."""
        return self._loss

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that a checkpoint keeps, by name."""
        kept = {f"weights.{name}": value for name, value in self.network.state_dict().items()}
        kept |= {f"ema.{name}": value for name, value in self.average.network.state_dict().items()}
        kept |= {f"optimiser.{name}": value for name, value in self._optimiser.tensors().items()}
        kept |= {f"companions.{name}": value for name, value in self._companions.state_dict().items()}
        return {**kept, "scale.scale": self._scale, "scale.calm": self._calm}

    def restore(self, checkpoint: Checkpoint) -> bool:
        """Take the weights from a checkpoint, and the optimiser's state if it has one, which is returned.

        Raises
        ------
        FormatError
            If the weights are those of another network.
        """
        _fill(self.network, checkpoint.part("weights"))
        _fill(self.average.network, checkpoint.part("ema"))
        learnt = checkpoint.part("companions")
        if learnt.keys() == self._companions.state_dict().keys():
            _fill(self._companions, learnt)
        moments = checkpoint.part("optimiser")
        if not moments:
            return False
        self._optimiser.restore(moments)
        scale = checkpoint.part("scale")
        self._scale, self._calm = scale["scale"].to(self._device), scale["calm"].to(self._device)
        return True


def _seen(x_hat: Tensor, x: Tensor | None, exercise: Exercise) -> Tensor:
    """Return the images as the loss shall see them: with a faint margin, where the problem has one."""
    if exercise.margin == 0:
        return x_hat
    if x is None:
        raise ArgumentError(
            f"the problem {exercise.problem.name!r} has a margin, which takes true images: set it to 0."
        )
    return fainter_margin(x_hat, x, exercise.margin, _WEIGHT_OF_MARGIN)


@torch.no_grad()
def _fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy weights in place, so that their layout in memory, and with it the rounding, stays as it was."""
    state = network.state_dict()
    wrong = [name for name in {**state, **tensors} if name not in tensors or name not in state]
    wrong += [name for name in state.keys() & tensors.keys() if state[name].shape != tensors[name].shape]
    if wrong:
        raise FormatError(
            f"the checkpoint is one of another network: {wrong[0]} does not fit {type(network).__name__}."
        )
    for name, value in state.items():
        value.copy_(tensors[name])
