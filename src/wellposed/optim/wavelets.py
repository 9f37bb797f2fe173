"""The wavelet prior: photographs are sparse in wavelets."""

from __future__ import annotations

from wellposed.operators import Wavelets
from wellposed.optim.composite import Composite
from wellposed.optim.norms import L1Norm

__all__ = ["wavelet_prior"]


def wavelet_prior(image_shape: tuple[int, ...], wavelet: str = "db4", levels: int = 4) -> Composite:
    r"""Return the sum of the magnitudes of the wavelet coefficients, those of the coarsest averages apart.

    .. math:: g(x) = \sum_{i \text{ a detail}} |(W x)_i|

    Parameters
    ----------
    image_shape, wavelet, levels
        As for `Wavelets`.

    Examples
    --------
    >>> import torch
    >>> wavelet_prior((1, 8, 8), levels=2).value(torch.ones(1, 1, 8, 8)).abs().item() < 1e-5
    True
    """
    transform = Wavelets(image_shape, wavelet, levels)
    return Composite(L1Norm(transform.details()), transform)
