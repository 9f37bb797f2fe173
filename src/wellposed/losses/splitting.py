"""Splitting: the network sees some of the measurements, and shall foretell the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree
from wellposed.losses._residuals import one_tensor
from wellposed.losses._split_masks import Density, Pattern, draw_kept, kept_probability
from wellposed.losses._thinned import thinned
from wellposed.losses.drawn_input import Draw, DrawingLoss
from wellposed.physics import Physics

__all__ = ["Splitting", "ssdu"]

Compared = Literal["all", "kept back"]


@dataclass(frozen=True, kw_only=True)
class SplittingLoss(DrawingLoss):
    """What the losses share that split measurements at random."""

    ratio: float = 0.9
    pattern: Pattern = "points"
    density: Density = "uniform"
    centre: int = 0
    compare: Compared = "all"
    sampling: Tensor | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if not 0 < self.ratio < 1:
            raise ArgumentError(f"{name} expects a ratio between 0 and 1, got {self.ratio!r}.")
        check_name("pattern", self.pattern, ("points", "rows", "columns", "frames"))
        if self.pattern == "frames" and (self.density != "uniform" or self.centre):
            raise ArgumentError(f"{name} keeps back frames with one density, all alike: leave out density and centre.")
        check_name("density", self.density, ("uniform", "gaussian"))
        check_name("choice of what to compare", self.compare, ("all", "kept back"))
        check_whole(name, "centre", self.centre, least=0)
        if self.sampling is not None and self.compare == "all":
            raise ArgumentError(
                f"{name} weights what is kept back by the sampling, and compares all: say compare='kept back'."
            )

    def draw(self, y: Tree, physics: Physics, *, generator: torch.Generator | None = None) -> Draw:
        """Draw which measurements the network sees."""
        name = type(self).__name__
        y = one_tensor(name, y)
        if self.pattern == "frames" and (y.ndim != 5 or y.shape[2] < 2):
            raise ShapeError(f"{name} splits the frames of measurements (B, C, T, H, W), T > 1, got {tuple(y.shape)}.")
        probability = kept_probability(y, self.ratio, self.density, self.pattern, self.centre)
        kept = draw_kept(y, probability, self.pattern, generator)
        weight = self._weight(kept, probability)
        return Draw(kept * y, thinned(name, physics, kept), y, physics.operator, weight)

    def _weight(self, kept: Tensor, probability: Tensor) -> Tensor | None:
        if self.compare == "all":
            return None
        if self.sampling is None:
            return 1 - kept
        sampling = self.sampling.to(kept)
        seen = sampling * probability
        return (1 - kept) * (1 - seen) / (sampling * (1 - probability)).clamp_min(torch.finfo(kept.dtype).eps)


@final
@dataclass(frozen=True)
class Splitting(SplittingLoss):
    r"""Show the network a random part S of the measurements, and compare with all of them, or with the others.

    .. math:: \ell = \tfrac1m \|A f(S y, S A) - y\|^2 \qquad\text{or}\qquad
        \ell = \tfrac1m \|W^{1/2} (I - S) (A f(S y, S A) - y)\|^2

    What is kept back may have any noise that is independent from one number to the next and of mean zero: it adds a
    constant. What the network sees, compared with itself, must be free of noise; with noise compare what is kept back,
    and for the rest add `R2R`, which then recorrupts what is left after the split and compares there: the robust form
    `R2R() + Splitting(compare="kept back")`, in this order.

    If :math:`E[A^T A | S A]` has full rank, that is if something is kept back and the operators of different images see
    what others miss, the minimiser is the supervised one, :math:`f(S y, S A) = E[x | S y, S A]`; with one operator,
    nothing is learnt about its null space. One evaluation in training; at test one with all measurements, or the mean
    over `draws` splits.

    Parameters
    ----------
    ratio : float
        The share of the measurements that the network sees, on average, between 0 and 1.
    pattern : {"points", "rows", "columns", "frames"}
        Whether single numbers are kept back, or whole rows, columns or frames (C, T, H, W); always in all channels. Of
        frames there is always the same share, at least one is shown and one kept back: see `phase2phase`.
    density : {"uniform", "gaussian"}
        Where: with the same probability everywhere, or most near the middle, as in SSDU: :math:`\exp(-2 r^2)`, with r
        from 0 to 1 along each axis.
    centre : int
        So many numbers along each axis in the middle are always shown.
    compare : {"all", "kept back"}
    sampling : Tensor, shape broadcasting to (1, 1, H, W), optional
        The probability p with which each number is measured, over the operators of different images; then W is
        :math:`(1 - p \tilde p) / (p (1 - \tilde p))`, with :math:`\tilde p` the probability of being shown. This makes
        the mean over the masks the error in all that the network has not seen, measured or not.
    draws : int
        At test, the mean over so many splits; 0: one evaluation, with all measurements.

    Raises
    ------
    ArgumentError
        If a number is out of its range; on a call, if the network was not adapted.
    UnknownNameError
        If there is no such pattern, density or choice.
    UnsupportedError
        On a call, if the measurements are not an image, a spectrum or a sinogram, or the operator is not linear.
    ShapeError
        On a call, if there are no frames to split.

    References
    ----------
    Yaman, Hosseini, Moeller, Ellermann, Ugurbil, Akcakaya, *Self-supervised learning of physics-guided reconstruction
    neural networks without fully sampled reference data*, Magnetic Resonance in Medicine 84 (2020),
    doi:10.1002/mrm.28378.
    Millard, Chiew, *A theoretical framework for self-supervised MR image reconstruction using sub-sampling via
    variable density Noisier2Noise*, IEEE Trans. Computational Imaging 9 (2023), doi:10.1109/TCI.2023.3299212.
    Daras, Shah, Dagan, Gollakota, Dimakis, Klivans, *Ambient diffusion: learning clean distributions from corrupted
    data*, NeurIPS 2023, arXiv:2305.19256.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Mask(torch.ones(1, 1, 8, 8)))
    >>> loss = Splitting(ratio=0.5)
    >>> model = loss.adapt(wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4)))
    >>> y = torch.rand(2, 1, 8, 8)
    >>> loss(x_hat=model(y, physics), y=y, physics=physics, model=model).shape
    torch.Size([2])
    """


def ssdu(ratio: float = 0.6, *, sampling: Tensor | None = None, draws: int = 0) -> Splitting:
    """Return the splitting of SSDU: what is kept back lies near the middle of k-space, outside its 4 x 4 centre.

    Parameters
    ----------
    ratio : float
        The share of the measurements that the network sees.
    sampling : Tensor, optional
        Makes it the weighted variant; see `Splitting`.
    draws : int

    Examples
    --------
    >>> ssdu(0.5).compare
    'kept back'
    """
    return Splitting(ratio=ratio, density="gaussian", centre=4, compare="kept back", sampling=sampling, draws=draws)
