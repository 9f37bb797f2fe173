"""Losses that show the network something drawn from the measurements, and compare with what was kept back."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.rng import seeded
from wellposed.core.tree import Tree, tree_map
from wellposed.losses._residuals import difference, mean_square
from wellposed.losses.base import Loss, Reconstructor
from wellposed.operators import Operator
from wellposed.physics import Physics
from wellposed.transforms import Motion

__all__ = ["Draw", "DrawingLoss", "DrawnInput", "adapted_for_test", "check_not_drawn", "compared"]


class Draw(NamedTuple):
    """What the network is shown, and what its answer is compared with."""

    y: Tree
    """Measurements for the network."""
    physics: Physics
    """Their physics."""
    target: Tree
    """What the reconstruction is compared with, once measured again."""
    operator: Operator
    """By which it is measured again."""
    weight: Tensor | None = None
    """Of each number of the target in the mean square."""
    motion: Motion | None = None
    """Moves the network's answer to where the reconstruction lies."""
    aside: Any = None
    """What else the loss wants to remember."""


@dataclass(frozen=True)
class DrawingLoss(Loss):
    r"""A loss whose network sees :math:`y_a`, drawn from the measurements y, and is compared with :math:`y_b`.

    .. math:: \ell = \tfrac1m \| W^{1/2} (A f(y_a) - y_b) \|^2

    `adapt` puts a `DrawnInput` around the network, which draws. Subclasses implement `draw`.

    Parameters
    ----------
    draws : int
        At test, the mean of the reconstructions of so many draws; 0: the network sees the measurements themselves.

    Raises
    ------
    ArgumentError
        On a call, if `model` is not what `adapt` returned, or `x_hat` not what that made.
    """

    draws: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        check_whole(type(self).__name__, "draws", self.draws, least=0)

    @abstractmethod
    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw what the network shall see, and what to compare with.

        Parameters
        ----------
        y : Tensor or tuple, shape (B, *measurement_shape)
        physics : Physics
        generator : torch.Generator, optional
            Torch's own by default.
        """

    def adapt(self, model: nn.Module) -> nn.Module:
        """Return the network with the draw before it."""
        return DrawnInput(model, self)

    def draws_at_test(self, y: Tree, physics: Physics, *, generator: torch.Generator | None) -> list[Draw]:
        """Return the draws whose reconstructions are combined at test; none: the network sees the measurements."""
        return [self.draw(y, physics, generator=generator) for _ in range(self.draws)]

    def whole(self, y: Tree) -> Tree:
        """Return what the network sees where nothing is drawn: the measurements."""
        return y

    def finished(self, answer: Tensor, y: Tree, physics: Physics) -> Tensor:  # noqa: ARG002
        """Return the reconstruction that the network's answer to the measurements themselves means: the answer."""
        return answer

    def recombined(self, x_hats: list[Tensor], draws: list[Draw]) -> Tensor:  # noqa: ARG002
        """Return what the reconstructions of several draws tell together: their mean."""
        return torch.stack(x_hats).mean(0)

    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,  # noqa: ARG002
        physics: Physics,  # noqa: ARG002
        model: Reconstructor,
        x: Tensor | None = None,  # noqa: ARG002
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        return compared(x_hat, self._drawn_for(x_hat, model))

    def _drawn_for(self, x_hat: Tensor, model: Any) -> Draw:
        """Return the draw that led to a reconstruction, of this loss among those that adapted the network."""
        while isinstance(model, DrawnInput):
            drawn, inner = model.drawn_for(x_hat)
            if model.loss == self:
                return drawn
            model, x_hat = model.model, inner
        raise ArgumentError(
            f"{type(self).__name__} changes what the network sees: call model = loss.adapt(model) first, and give the "
            "loss this model."
        )


@final
class DrawnInput(nn.Module):
    r"""A network that sees what a loss draws from the measurements.

    In training, :math:`\hat x = f(y_a)` with a new draw at each call; in evaluation, the mean over the loss's `draws`,
    which are the same at each call unless a generator is given, or :math:`f(y)` if it has none. How a result was
    drawn is known as long as the result is there.

    Parameters
    ----------
    model : nn.Module
    loss : DrawingLoss
    """

    def __init__(self, model: nn.Module, loss: DrawingLoss) -> None:
        super().__init__()
        self.model, self.loss = model, loss
        self.training = model.training
        self._drawn = WeakTensorKeyDictionary()

    def forward(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Tensor:
        """Reconstruct.

        Parameters
        ----------
        y : Tensor or tuple, shape (B, *measurement_shape)
        physics : Physics
        generator : torch.Generator, optional
            Of the draws. By default torch's own in training, and one with a fixed seed in evaluation.

        Returns
        -------
        Tensor, shape (B, *image_shape)
        """
        if self.training:
            return self._reconstruct(self.loss.draw(y, physics, generator=generator), generator)
        if generator is None:
            generator = seeded(0, "draws at test")
        draws = self.loss.draws_at_test(y, physics, generator=generator)
        if not draws:
            return self.loss.finished(self._ask(self.loss.whole(y), physics, generator), y, physics)
        return self.loss.recombined([self._reconstruct(draw, generator) for draw in draws], draws)

    def drawn_for(self, x_hat: Tensor) -> tuple[Draw, Tensor]:
        """Return the draw that led to a result of this network in training, and what the network inside answered.

        Raises
        ------
        ArgumentError
            If it is no such result.
        """
        if x_hat not in self._drawn:
            raise ArgumentError(
                "the loss expects x_hat to be what the adapted model returned in training mode: "
                "x_hat = model(y, physics), without a copy."
            )
        drawn, inner = self._drawn[x_hat]
        return drawn, x_hat if inner is None else inner

    def _reconstruct(self, drawn: Draw, generator: torch.Generator | None) -> Tensor:
        answer = self._ask(drawn.y, drawn.physics, generator)
        x_hat = answer if drawn.motion is None else drawn.motion(answer)
        if self.training:
            self._drawn[x_hat] = (drawn, None if x_hat is answer else answer)
        return x_hat

    def _ask(self, y: Tree, physics: Physics, generator: torch.Generator | None) -> Tensor:
        if isinstance(self.model, DrawnInput):
            return self.model(y, physics, generator=generator)
        return self.model(y, physics)

    @property
    def __name__(self) -> str:
        return getattr(self.model, "__name__", type(self.model).__name__)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_drawn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._drawn = WeakTensorKeyDictionary()


def compared(x_hat: Tensor, draw: Draw) -> Tensor:
    """Return the mean square by which a reconstruction, measured again, differs from the target, shape (B,)."""
    residual = difference(draw.operator(x_hat), draw.target)
    if draw.weight is not None:
        root = draw.weight.sqrt()
        residual = tree_map(lambda leaf: root * leaf, residual)
    return mean_square(residual)


def adapted_for_test(loss: Loss, model: nn.Module) -> nn.Module:
    """Return a network as a loss uses it at test; the mode of the network itself stays as it is.

    Parameters
    ----------
    loss : Loss
    model : nn.Module

    Examples
    --------
    >>> import wellposed as wp
    >>> model = wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4))
    >>> y, physics = torch.rand(1, 1, 8, 8), wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> at_test = adapted_for_test(wp.losses.R2R(draws=3), model)
    >>> torch.equal(at_test(y, physics), at_test(y, physics))
    True
    """
    adapted = loss.adapt(model)
    part = adapted
    while isinstance(part, DrawnInput):
        part.training = False
        part = part.model
    return adapted


def check_not_drawn(owner: str, model: Any) -> None:
    """Raise `ArgumentError` if a network draws its input, whose derivative then means nothing."""
    if isinstance(model, DrawnInput):
        raise ArgumentError(
            f"{owner} differentiates the network, which {type(model.loss).__name__} makes random: use one of the two."
        )
