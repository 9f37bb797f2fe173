"""From the images or the k-space of many coils to one image, to fewer coils, or to coils with equal noise."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.core.precision import in_own_precision
from wellposed.core.shapes import check_tensor

__all__ = ["combine_coils", "compress_coils", "noise_covariance", "root_sum_of_squares", "whiten"]


def root_sum_of_squares(images: Tensor) -> Tensor:
    r"""Return the magnitude of the images of all coils together, :math:`\sqrt{\sum_l |x_l|^2}`.

    Parameters
    ----------
    images : Tensor, shape (B, coils, ...)

    Returns
    -------
    Tensor, shape (B, 1, ...), real

    Examples
    --------
    >>> root_sum_of_squares(torch.tensor([[[3.0]], [[4.0]]])[None])
    tensor([[[[5.]]]])
    """
    _check_coils("root_sum_of_squares", images)
    return torch.linalg.vector_norm(images, dim=1, keepdim=True)


def combine_coils(images: Tensor, coil_maps: Tensor) -> Tensor:
    r"""Return the image that explains those of the coils best, :math:`\sum_l \bar S_l x_l / \sum_l |S_l|^2`.

    Where no coil sees anything it is zero.

    Parameters
    ----------
    images : Tensor, shape (B, coils, ...), complex
    coil_maps : Tensor, shape (B or 1, coils, ...), complex

    Returns
    -------
    Tensor, shape (B, 1, ...), complex

    Raises
    ------
    ShapeError
        If there are not as many maps as images, or they have another size.

    References
    ----------
    Roemer et al., *The NMR phased array*, Magnetic Resonance in Medicine 16 (1990).

    Examples
    --------
    >>> maps = torch.tensor([2.0 + 0j, 1j]).view(1, 2, 1, 1)
    >>> combine_coils(maps * 3, maps)
    tensor([[[[3.+0.j]]]])
    """
    _check_coils("combine_coils", images)
    check_tensor("combine_coils", "coil_maps", coil_maps)
    if coil_maps.shape[1:] != images.shape[1:] or coil_maps.shape[0] not in (1, images.shape[0]):
        raise ShapeError(
            f"combine_coils expects one map for each coil and image, of the same size: got coil_maps of shape "
            f"{tuple(coil_maps.shape)} for images of shape {tuple(images.shape)}."
        )
    energy = coil_maps.abs().square().sum(1, keepdim=True)
    return (coil_maps.conj() * images).sum(1, keepdim=True) / torch.where(energy > 0, energy, 1)


@in_own_precision
def noise_covariance(samples: Tensor) -> Tensor:
    r"""Return the covariance of the noise of coils, :math:`\Psi = \frac{1}{2 n} \sum_j s_j s_j^H`.

    It is half of what the complex values have, that of their real (and of their imaginary) parts, so that a diagonal of
    one means `Gaussian(1.0)`.

    Parameters
    ----------
    samples : Tensor, shape (coils, ...), complex
        Measured without an image, at least as many a coil as there are coils.

    Returns
    -------
    Tensor, shape (coils, coils)

    Raises
    ------
    ShapeError
        If there are too few samples.
    DTypeError
        If they are real.
    """
    check_tensor("noise_covariance", "samples", samples)
    if not samples.is_complex():
        raise DTypeError(f"noise_covariance expects complex samples, got {samples.dtype}.")
    rows = samples.flatten(1) if samples.ndim > 1 else samples[:, None]
    if rows.shape[1] < rows.shape[0]:
        raise ShapeError(
            f"noise_covariance expects at least as many samples as coils, (coils, ...), got {tuple(samples.shape)}."
        )
    return rows @ rows.mH / (2 * rows.shape[1])


@in_own_precision
def whiten(y: Tensor, covariance: Tensor) -> Tensor:
    r"""Mix coils so that their noise has a standard deviation of one and no correlation: :math:`L^{-1} y`.

    :math:`L L^H` is the Cholesky factorisation of the covariance. Whitened k-space wants whitened coil maps: estimate
    them from it, or whiten those that there are by the same covariance.

    Parameters
    ----------
    y : Tensor, shape (B, coils, ...), complex
        K-space, images or coil maps.
    covariance : Tensor, shape (coils, coils)
        Such as `noise_covariance` gives.

    Returns
    -------
    Tensor, shape (B, coils, ...)

    Raises
    ------
    ShapeError
        If the covariance is for another number of coils.
    ArgumentError
        If the covariance is not positive definite.

    References
    ----------
    Kellman and McVeigh, *Image reconstruction in SNR units*, Magnetic Resonance in Medicine 54 (2005).

    Examples
    --------
    >>> whiten(torch.tensor([[[6.0 + 0j], [1j]]]), torch.diag(torch.tensor([4.0 + 0j, 0.25])))
    tensor([[[3.+0.j],
             [0.+2.j]]])
    """
    _check_coils("whiten", y)
    check_tensor("whiten", "covariance", covariance)
    coils = y.shape[1]
    if covariance.shape != (coils, coils):
        raise ShapeError(
            f"whiten expects a covariance of shape ({coils}, {coils}) for {coils} coils, got {tuple(covariance.shape)}."
        )
    factor, failed = torch.linalg.cholesky_ex(covariance.to(y.dtype))
    if int(failed) != 0:
        raise ArgumentError("whiten expects a positive definite covariance: measure more noise samples.")
    return torch.linalg.solve_triangular(factor, y.flatten(2), upper=False).view(y.shape)


@in_own_precision
def compress_coils(y: Tensor, n_coils: int) -> tuple[Tensor, Tensor]:
    r"""Replace coils by fewer virtual ones that hold as much of the signal as so many can.

    The virtual coils are the leading left singular vectors U of the samples of all coils: :math:`y' = U^H y`.

    Parameters
    ----------
    y : Tensor, shape (B, coils, ...), complex
        K-space.
    n_coils : int
        Of virtual coils, at most as many as there are.

    Returns
    -------
    compressed : Tensor, shape (B, n_coils, ...)
    mixing : Tensor, shape (B, n_coils, coils)
        The matrix that compresses: coil maps of the virtual coils are `torch.einsum("bvc,bc...->bv...", mixing, maps)`.

    Raises
    ------
    ArgumentError
        If there are not so many coils.

    References
    ----------
    Buehrer et al., *Array compression for MRI with large coil arrays*, Magnetic Resonance in Medicine 57 (2007).

    Examples
    --------
    >>> y = torch.tensor([[[1.0, 2.0], [2.0, 4.0]]]) + 0j
    >>> compress_coils(y, 1)[0].abs().square().sum().item() / y.abs().square().sum().item()
    1.0
    """
    _check_coils("compress_coils", y)
    check_whole("compress_coils", "n_coils", n_coils, least=1)
    if n_coils > y.shape[1]:
        raise ArgumentError(f"compress_coils expects at most the {y.shape[1]} coils that there are, got {n_coils}.")
    rows = y.flatten(2)
    vectors = torch.linalg.eigh((rows @ rows.mH).to(torch.complex128)).eigenvectors.flip(-1)
    mixing = vectors[..., :n_coils].mH.to(y.dtype)
    return (mixing @ rows).unflatten(2, y.shape[2:]), mixing


def _check_coils(owner: str, values: Tensor) -> None:
    check_tensor(owner, "its first argument", values)
    if values.ndim < 3:
        raise ShapeError(f"{owner} expects a tensor of shape (B, coils, ...), got {tuple(values.shape)}.")
