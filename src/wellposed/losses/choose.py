"""Which losses teach a network from measurements, given what is known about their noise and their operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.losses._virtual import Operators
from wellposed.losses.base import Loss
from wellposed.losses.consistency import MeasurementConsistency
from wellposed.losses.equivariant_imaging import EquivariantImaging, unlikeness
from wellposed.losses.multi_operator import MultiOperatorImaging
from wellposed.losses.neighbor2neighbor import Neighbor2Neighbor
from wellposed.losses.recorrupted import R2R
from wellposed.losses.splitting import Splitting
from wellposed.losses.sure import SURE
from wellposed.losses.unsure import UNSURE
from wellposed.noise import Gamma, Gaussian, NoNoise, Poisson, PoissonGaussian
from wellposed.operators import Identity, LinearOperator
from wellposed.physics import Physics
from wellposed.solvers import CG
from wellposed.transforms import Reflect, Rotate, Scale, Shift, Transform

__all__ = ["Choice", "Knowledge", "choose_loss"]

Knowledge: TypeAlias = Literal["known", "unknown level", "unknown"]
"""What is known about the noise: all that the physics says, all but its level, or only that it is independent."""

_FAINT = 0.1
_UNSEEN = 0.1
_UNLIKE = 0.1
_ROUGHLY = 1e-2
_MOTIONS: tuple[Transform, ...] = (Shift(limit=0.1), Rotate(order=None), Scale(), Reflect())
_START = 0.0025
_RATE = 0.04


@final
@dataclass(frozen=True)
class Choice:
    """A loss, and why it was chosen.

    Parameters
    ----------
    loss : Loss
    why : str
        One sentence.
    """

    loss: Loss
    why: str


def choose_loss(
    y: Tree,
    physics: Physics,
    *,
    noise: Knowledge = "known",
    weight: float = 0.1,
    transform: Transform | None = None,
    operators: Operators = None,
    denoiser: bool = False,
) -> Choice:
    r"""Choose a loss that needs measurements alone, as RAM is fine-tuned: one for the noise, one for the null space.

    .. math:: \ell = \ell_{MC} + \omega\, \ell_{NULL}

    ============================================ =====================================================
    noise                                        :math:`\ell_{MC}`
    ============================================ =====================================================
    known: none                                  `MeasurementConsistency`
    known: Gaussian, Poisson, Poisson-Gaussian   `SURE`
    known: Gamma                                 `R2R`
    unknown level                                `UNSURE`
    unknown, or of another family of mean zero   `Splitting`; for denoising `Neighbor2Neighbor`
    ============================================ =====================================================

    :math:`\ell_{NULL}` is added if the operator sees less than 99 % of the energy of a random image at a tenth of its
    norm or more: `MultiOperatorImaging` where the measurements have operators of their own, or others are given; else
    `EquivariantImaging` with the first of small shifts, rotations, scalings and mirrorings with which the operator
    does not nearly commute.

    Parameters
    ----------
    y : Tensor or tuple, shape (B, *measurement_shape)
    physics : Physics
    noise : {"known", "unknown level", "unknown"}
    weight : float
        :math:`\omega`.
    transform : Transform, optional
        The motions, if they are not to be chosen.
    operators : sequence of Operator, or callable, optional
        Other operators, as `MultiOperatorImaging` takes them.
    denoiser : bool
        Whether the network serves no operator but the identity.

    Raises
    ------
    UnknownNameError
        If `noise` is none of the three.
    UnsupportedError
        If nothing suits the noise.

    References
    ----------
    Terris et al., *Reconstruct Anything Model*, 2025, arXiv:2503.08915, section 4.2 and appendix D.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.BayerMosaic((3, 8, 8)), wp.noise.Gaussian(0.05))
    >>> choose_loss(physics(torch.rand(1, 3, 8, 8)), physics).why.split(";")[0]
    'SURE, as the noise is Gaussian of known level'
    """
    check_name("noise", noise, ("known", "unknown level", "unknown"))
    consistency = _for_the_noise(y, physics, noise, denoiser)
    null = _for_the_null_space(y, physics, transform, operators)
    if null.loss is None:
        return Choice(consistency.loss, f"{consistency.why}; {null.why}.")
    return Choice(consistency.loss + weight * null.loss, f"{consistency.why}; {weight:g} {null.why}.")


@dataclass(frozen=True)
class _Part:
    loss: Loss
    why: str


@dataclass(frozen=True)
class _NullPart:
    loss: Loss | None
    why: str


def _for_the_noise(y: Tree, physics: Physics, known: Knowledge, denoiser: bool) -> _Part:  # noqa: FBT001
    noise, name = physics.noise, type(physics.noise).__name__
    if known == "unknown level":
        kind = "poisson_gaussian" if isinstance(noise, (Poisson, PoissonGaussian)) else "level"
        start = _rough_variance(y, physics)
        unsure = UNSURE(kind, start=start, rate=_RATE * start)  # type: ignore[arg-type]
        return _Part(unsure, "UNSURE, as the level of the noise is not known")
    if known == "known" and isinstance(noise, NoNoise):
        return _Part(MeasurementConsistency(), "MeasurementConsistency, as the physics has no noise")
    if known == "known" and isinstance(noise, (Gaussian, Poisson, PoissonGaussian)):
        return _Part(SURE(), f"SURE, as the noise is {name} of known level")
    if known == "known" and isinstance(noise, Gamma):
        return _Part(R2R(), "R2R, as the noise is Gamma with a known number of looks")
    if known == "known" and not _has_mean_zero(y, physics):
        raise UnsupportedError(
            f"no loss is known that learns from {name} noise, whose mean is not the clean measurement: give one with "
            "loss=, or say noise='unknown' if the noise is independent from number to number and of mean zero."
        )
    reason = "as nothing is known about the noise" if known == "unknown" else f"as the noise is {name}"
    reason += " but that it is independent from number to number" if known == "unknown" else ", of mean zero"
    if denoiser or (isinstance(physics.operator, Identity) and isinstance(y, Tensor) and y.ndim == 4):
        return _Part(Neighbor2Neighbor(), f"Neighbor2Neighbor, {reason}")
    return _Part(Splitting(compare="kept back"), f"Splitting, {reason}")


def _for_the_null_space(y: Tree, physics: Physics, transform: Transform | None, operators: Operators) -> _NullPart:
    operator, name = physics.operator, type(physics.operator).__name__
    if isinstance(operator, Identity) or (isinstance(operator, LinearOperator) and _sees_all(operator, y)):
        return _NullPart(None, f"nothing else, as {name} sees the whole image")
    if operators is not None or _differ(physics, len(tree_leaves(y)[0])):
        others = "others are given" if operators is not None else "the measurements have operators of their own"
        return _NullPart(
            MultiOperatorImaging(operators=operators),
            f"MultiOperatorImaging, as {name} misses a part of the image and {others}",
        )
    chosen = transform if transform is not None else _motions(operator, y)
    if chosen is None:
        return _NullPart(
            None, f"nothing for what {name} misses, as it commutes with shifts, rotations, scalings and mirrors"
        )
    return _NullPart(
        EquivariantImaging(chosen),
        f"EquivariantImaging with {type(chosen).__name__}, as {name} misses a part of the image and all measurements "
        "share it",
    )


@torch.no_grad()
def _sees_all(operator: LinearOperator, y: Tree) -> bool:
    r"""Tell whether a random image comes back from :math:`(I + \gamma N)^{-1} \gamma N` but for a hundredth of it.

    With :math:`\gamma \|A\|^2` of 1 / 0.1^2, what A sees at a tenth of its norm comes back by half.
    """
    image = normal_like(torch.as_tensor(operator.adjoint(y)), torch.Generator().manual_seed(0))
    gamma = (_FAINT * operator.norm()).square().reciprocal()
    solver = None if operator.has_closed_form("prox") else CG(tolerance=_ROUGHLY)
    back = torch.as_tensor(operator.prox(torch.zeros_like(image), operator(image), gamma, solver=solver))
    return bool((norm(image - back) / norm(image)).max() <= _UNSEEN)


def _differ(physics: Physics, images: int) -> bool:
    """Tell whether the operator has parameters of its own for each image."""
    own = [value for value in physics.operator.params.values() if value.ndim and len(value) == images > 1]
    return any(bool((value != value[:1]).any()) for value in own)


def _motions(operator: object, y: Tree) -> Transform | None:
    """Return the first motions with which the operator does not nearly commute; shifts, if it is not linear.

    Of rotations the quarter turns judge, which interpolate nothing.
    """
    if not isinstance(operator, LinearOperator):
        return _MOTIONS[0]
    image = torch.as_tensor(operator.adjoint(y))
    if image.ndim not in (4, 5):
        return _MOTIONS[0]
    if operator.parameter_batch == 1:
        image = image[:1]
    is_square = image.shape[-1] == image.shape[-2]
    for motions in _MOTIONS:
        judge = Rotate() if isinstance(motions, Rotate) and is_square else motions
        if unlikeness(judge, operator, image) > _UNLIKE:
            return motions
    return None


def _has_mean_zero(y: Tree, physics: Physics) -> bool:
    """Tell whether the noise leaves clean measurements as they are, on average."""
    clean = tree_map(lambda leaf: torch.full_like(leaf, 0.3), y)
    mean = physics.noise.mean(clean)
    pairs = zip(tree_leaves(mean), tree_leaves(clean), strict=True)
    return all(bool(torch.allclose(one, other, rtol=1e-4, atol=1e-6)) for one, other in pairs)


def _rough_variance(y: Tree, physics: Physics) -> float:
    """Return the variance that the physics says, else that of the finest diagonal details of the measurements."""
    if not isinstance(physics.noise, NoNoise):
        said = torch.cat([leaf.flatten() for leaf in tree_leaves(physics.noise.variance(y))]).mean()
        return float(said) or _START
    leaf: Tensor = tree_leaves(y)[0]
    leaf = leaf.real if leaf.is_complex() else leaf
    if leaf.ndim < 3 or min(leaf.shape[-2:]) < 2:
        return _START
    detail = (leaf[..., 1:, 1:] - leaf[..., :-1, 1:] - leaf[..., 1:, :-1] + leaf[..., :-1, :-1]) / 2
    return float((detail.abs().median() / 0.6745).square()) or _START
