"""A physics of which only some measurements are left."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import UnsupportedError
from wellposed.core.shapes import Shape
from wellposed.operators import CartesianMRI, Compose, Identity, Mask, Operator, SequentialMRI
from wellposed.operators.base import LinearOperator
from wellposed.physics import Physics


def thinned(owner: str, physics: Physics, kept: Tensor) -> Physics:
    """Return a physics whose operator is S A, keeping its closed forms where it has a mask already.

    Parameters
    ----------
    owner : str
        Who asks.
    physics : Physics
        With a linear operator whose measurements are images, spectra or sinograms, (C, H, W) or (C, D, H, W).
    kept : Tensor, shape (B, 1, H, W) or (B, 1, D, H, W)
        1 where a measurement is kept, else 0.

    Raises
    ------
    UnsupportedError
        If measurements have other axes, or the operator is not linear.
    """
    return Physics(_thinned_operator(owner, physics.linear_operator, kept), physics.noise)


def _thinned_operator(owner: str, operator: LinearOperator, kept: Tensor) -> Operator:
    if isinstance(operator, (Mask, CartesianMRI, SequentialMRI)):
        return operator.with_params(mask=operator.mask * kept)
    shape: Shape = operator.measurement_shape
    if len(shape) not in (3, 4) or any(isinstance(size, tuple) for size in shape):
        raise UnsupportedError(
            f"{owner} splits measurements (C, H, W) or (C, D, H, W), and those of {type(operator).__name__} "
            f"are {shape}."
        )
    sizes = tuple(size or known for size, known in zip(shape[1:], kept.shape[2:], strict=True))
    mask = Mask(kept, (shape[0], *sizes))
    return mask if isinstance(operator, Identity) else Compose(mask, operator)
