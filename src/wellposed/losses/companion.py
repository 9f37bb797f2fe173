"""What a loss learns while the network learns."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["Companion"]


class Companion(nn.Module, ABC):
    """A part of a loss that learns beside the network, from the gradient that `backward` leaves in its parameters.

    The trainer calls `step` after each step of the network, and keeps the state in its checkpoints; so does a loop of
    your own: `for companion in loss.companions(): companion.step()`, after `backward`.
    """

    @abstractmethod
    def step(self, *, unless: Tensor | None = None) -> None:
        """Move by the gradient, where there is one, and forget it.

        Parameters
        ----------
        unless : Tensor of bool, shape (), optional
            If true, everything stays as it is; the host does not wait to know.
        """
