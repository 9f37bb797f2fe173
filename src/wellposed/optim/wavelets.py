"""Wavelet priors: photographs are sparse in wavelets."""

from __future__ import annotations

from collections.abc import Sequence

from wellposed.core.errors import ArgumentError
from wellposed.operators import Stack, UndecimatedWavelets, Wavelets
from wellposed.optim.composite import Composite, StackedDistance
from wellposed.optim.norms import GroupNorm, L1Norm

__all__ = ["wavelet_dictionary", "wavelet_prior"]


def wavelet_prior(
    image_shape: tuple[int, ...],
    wavelet: str = "db4",
    levels: int = 4,
    *,
    translation_invariant: bool = False,
    joint_channels: bool = False,
) -> Composite:
    r"""Return the sum of the magnitudes of the wavelet coefficients, those of the coarsest averages apart.

    .. math:: g(x) = \sum_{i \text{ a detail}} |(W x)_i|

    Parameters
    ----------
    image_shape, wavelet, levels
        As for `Wavelets`.
    translation_invariant : bool
        Take the mean over all shifts of the image, by `UndecimatedWavelets`: no blocks are left in the image, and there
        is no closed proximal step.
    joint_channels : bool
        Take the length of the vector of all channels in place of each magnitude: colours share their edges.

    Examples
    --------
    >>> import torch
    >>> wavelet_prior((1, 8, 8), levels=2).value(torch.ones(1, 1, 8, 8)).abs().item() < 1e-5
    True
    """
    if translation_invariant:
        frame = UndecimatedWavelets(image_shape, wavelet, levels)
        return Composite(GroupNorm((2,), frame.shares()) if joint_channels else L1Norm(frame.shares()), frame)
    basis = Wavelets(image_shape, wavelet, levels)
    return Composite(GroupNorm((1,), basis.details()) if joint_channels else L1Norm(basis.details()), basis)


def wavelet_dictionary(
    image_shape: tuple[int, ...],
    wavelets: Sequence[str] = ("db1", "db2", "db3", "db4", "db5", "db6", "db7", "db8"),
    levels: int = 4,
) -> Composite:
    r"""Return the mean of the wavelet priors of several orthonormal bases: images are sparse in a union of them.

    .. math:: g(x) = \frac1n \sum_{k=1}^{n} \sum_{i \text{ a detail}} |(W_k x)_i|

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    wavelets : sequence of str
        Of "db1" to "db8".
    levels : int

    Raises
    ------
    ArgumentError
        If there is no wavelet.

    References
    ----------
    Carrillo, McEwen, Wiaux, *Sparsity averaging reweighted analysis (SARA): a novel algorithm for radio-interferometric
    imaging*, Mon. Not. R. Astron. Soc. 426 (2012).

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(1, 1, 8, 8)
    >>> union, haar = wavelet_dictionary((1, 8, 8), ("db1", "db1"), 2), wavelet_prior((1, 8, 8), "db1", 2)
    >>> bool(torch.allclose(union.value(x), haar.value(x)))
    True
    """
    if not wavelets:
        raise ArgumentError("wavelet_dictionary needs at least one wavelet.")
    bases = [Wavelets(image_shape, wavelet, levels) for wavelet in wavelets]
    norms = [L1Norm(basis.details() / len(bases)) for basis in bases]
    return Composite(StackedDistance(norms), Stack(bases))
