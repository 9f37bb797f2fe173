"""The judge of an adversarial loss, which learns while the network learns."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.core.errors import ArgumentError
from wellposed.losses.companion import Companion

__all__ = ["Discriminator"]

_EPSILON = 1e-8


@final
class Discriminator(Companion):
    r"""A network that tells measurements from what only looks like them, and the state of Adam that trains it.

    Parameters
    ----------
    network : nn.Module
        ``verdicts = network(y)``, large for measurements; of any shape (B, ...).
    learning_rate : float
    betas : (float, float)
        Of the moving averages of the gradient and of its square. Adversaries do better with a short memory.

    Raises
    ------
    ArgumentError
        If the network has no parameters to learn, or a number is out of its range.

    References
    ----------
    Radford, Metz, Chintala, *Unsupervised representation learning with deep convolutional generative adversarial
    networks*, ICLR 2016, arXiv:1511.06434.

    Examples
    --------
    >>> judge = Discriminator(nn.Linear(2, 1, bias=False), learning_rate=0.5)
    >>> before = judge.network.weight.detach().clone()
    >>> judge(torch.ones(1, 2)).sum().backward()
    >>> judge.step()
    >>> torch.allclose(before - judge.network.weight, torch.tensor(0.5))
    True
    """

    moments: Tensor
    steps: Tensor

    def __init__(
        self, network: nn.Module, *, learning_rate: float = 1e-4, betas: tuple[float, float] = (0.5, 0.999)
    ) -> None:
        super().__init__()
        if not 0 < learning_rate < float("inf"):
            raise ArgumentError(f"Discriminator expects a finite learning rate above 0, got {learning_rate!r}.")
        if not all(0 <= beta < 1 for beta in betas):
            raise ArgumentError(f"Discriminator expects betas of at least 0 and below 1, got {betas!r}.")
        self.network = network
        weights = self._weights()
        if not weights:
            raise ArgumentError(
                f"Discriminator expects a network that can learn, and {type(network).__name__} has no parameters."
            )
        self.learning_rate, self.betas = learning_rate, betas
        self.register_buffer("moments", weights[0].new_zeros(2, sum(weight.numel() for weight in weights)))
        self.register_buffer("steps", weights[0].new_zeros(()))

    def forward(self, y: Tensor) -> Tensor:
        """Return verdicts, shape (B, n)."""
        return self.network(y).flatten(1)

    def fixed(self, y: Tensor) -> Tensor:
        """Return verdicts, shape (B, n), whose gradient reaches the measurements and not the network."""
        constants: dict[str, Any] = {name: value.detach() for name, value in self.network.named_parameters()}
        return functional_call(self.network, constants, (y,)).flatten(1)

    @torch.no_grad()
    def step(self, *, unless: Tensor | None = None) -> None:
        """Take a step of Adam."""
        weights = self._weights()
        if all(weight.grad is None for weight in weights):
            return
        gradient = torch.cat(
            [(torch.zeros_like(weight) if weight.grad is None else weight.grad).flatten() for weight in weights]
        )
        (short, long), steps = self.betas, self.steps + 1
        mean = torch.lerp(gradient, self.moments[0], short)
        square = torch.lerp(gradient.square(), self.moments[1], long)
        change = mean / (1 - short**steps) / ((square / (1 - long**steps)).sqrt() + _EPSILON)
        moments = torch.stack([mean, square])
        if unless is not None:
            change = torch.where(unless, 0, change)
            moments, steps = torch.where(unless, self.moments, moments), torch.where(unless, self.steps, steps)
        self.moments.copy_(moments)
        self.steps.copy_(steps)
        for weight, part in zip(weights, change.split([weight.numel() for weight in weights]), strict=True):
            weight.sub_(self.learning_rate * part.view_as(weight))
            weight.grad = None

    def _weights(self) -> list[nn.Parameter]:
        return [weight for weight in self.network.parameters() if weight.requires_grad]
