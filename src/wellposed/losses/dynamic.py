"""Measurements in time: some frames foretell others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ShapeError
from wellposed.core.tree import Tree
from wellposed.losses._residuals import one_tensor
from wellposed.losses._thinned import thinned
from wellposed.losses.drawn_input import Draw, DrawingLoss
from wellposed.losses.splitting import Splitting
from wellposed.physics import Physics

__all__ = ["Artifact2Artifact", "phase2phase"]


def phase2phase(ratio: float = 0.5, *, draws: int = 0) -> Splitting:
    """Return the splitting of Phase2Phase: whole frames are shown, and the others are compared.

    For videos, whose network shares what it knows among frames, or for an image that is measured again and again, by
    `SequentialMRI`. Noise and assumptions are those of `Splitting`.

    Parameters
    ----------
    ratio : float
        The share of the frames that the network sees.
    draws : int
        At test, the mean over so many splits; 0: one evaluation, with all frames.

    References
    ----------
    Eldeniz, Gan, Chen, Fraum, Ludwig, Yan, Liu, Vahle, Krishnamurthy, Kamilov, An, *Phase2Phase: respiratory
    motion-resolved reconstruction of free-breathing magnetic resonance imaging using deep learning without a ground
    truth for improved liver imaging*, Investigative Radiology 56 (2021), doi:10.1097/RLI.0000000000000792.

    Examples
    --------
    >>> phase2phase(0.75).pattern
    'frames'
    """
    return Splitting(ratio=ratio, pattern="frames", compare="kept back", draws=draws)


@final
@dataclass(frozen=True)
class Artifact2Artifact(DrawingLoss):
    r"""Of the frames show the network one group, and compare with another.

    .. math:: \ell = \tfrac{1}{|b|} \sum_{t \in b} \|A_t f(y_a, A_a) - y_t\|^2, \qquad a \ne b \text{ at random}

    The groups are frames that follow each other; of each image another pair is drawn. Assumes that what is measured
    does not change from one group to the next, that the operators of different groups miss different things, which are
    the artefacts, and noise of mean zero that is independent from group to group: it adds a constant, its mean variance
    in b. One evaluation in training; at test one with all frames, or the mean over `draws`.

    Parameters
    ----------
    size : int
        Frames of a group; frames that are left over belong to none.
    draws : int

    Raises
    ------
    ArgumentError
        If a number is out of its range; on a call, if the network was not adapted.
    ShapeError
        On a call, if measurements are not (B, C, T, H, W) with frames for two groups.
    UnsupportedError
        On a call, if the operator is not linear.

    References
    ----------
    Liu, Sun, Eldeniz, Gan, An, Kamilov, *RARE: image reconstruction using deep priors learned without ground truth*,
    IEEE J. Selected Topics in Signal Processing 14 (2020), arXiv:1912.05854.

    Examples
    --------
    >>> import wellposed as wp
    >>> class Mean(torch.nn.Module):
    ...     def forward(self, y, physics):
    ...         return (y.sum(2) / (y != 0).sum(2)).unsqueeze(2).expand_as(y)
    >>> physics = wp.Physics(wp.operators.Identity((1, 4, 2, 2)))
    >>> loss, y = Artifact2Artifact(size=2), torch.full((1, 1, 4, 2, 2), 3.0)
    >>> model = loss.adapt(Mean())
    >>> loss(x_hat=model(y, physics), y=y, physics=physics, model=model)
    tensor([0.])
    """

    size: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("Artifact2Artifact", "size", self.size, least=1)

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw which group is shown, and which one is compared."""
        y = one_tensor("Artifact2Artifact", y)
        groups = y.shape[2] // self.size if y.ndim == 5 else 0
        if groups < 2:
            raise ShapeError(
                f"Artifact2Artifact expects measurements (B, C, T, H, W) with at least {2 * self.size} frames, got "
                f"{tuple(y.shape)}."
            )
        device = y.device if generator is None else generator.device
        order = torch.rand(len(y), groups, generator=generator, device=device).argsort(1).to(y.device)
        group = torch.arange(y.shape[2], device=y.device) // self.size
        shown, compared = ((group == order[:, place, None]).to(y.real.dtype) for place in (0, 1))
        kept = shown[:, None, :, None, None].expand(len(y), 1, *y.shape[2:])
        weight = compared[:, None, :, None, None] * (y.shape[2] / self.size)
        return Draw(kept * y, thinned("Artifact2Artifact", physics, kept), y, physics.operator, weight)
