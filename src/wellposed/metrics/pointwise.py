"""Metrics of the difference of two images, number by number: mean errors and signal-to-noise ratios."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.complex_view import real_view
from wellposed.metrics._pairs import check_pair, checked_range

__all__ = ["mae", "mse", "nrmse", "psnr", "snr"]


def mse(x_hat: Tensor, x: Tensor) -> Tensor:
    r"""Mean squared error of each image.

    .. math:: \mathrm{MSE} = \tfrac1N \|\hat x - x\|_2^2

    Parameters
    ----------
    x_hat, x : Tensor, shape (B, C, H, W) or (B, C, D, H, W)
        Estimate and truth; real or complex (then the modulus of the difference counts).

    Returns
    -------
    Tensor, shape (B,)

    Raises
    ------
    ShapeError
        If the shapes differ; nothing is broadcast.
    DTypeError
        If an image is of integers, or only one of the two is complex.

    Examples
    --------
    >>> import torch
    >>> mse(torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2))
    tensor([0.2500])
    """
    check_pair("mse", x_hat, x)
    return _mean_square(x_hat - x)


def mae(x_hat: Tensor, x: Tensor) -> Tensor:
    r"""Mean absolute error of each image.

    .. math:: \mathrm{MAE} = \tfrac1N \|\hat x - x\|_1

    Parameters, result and errors are those of `mse`.

    Examples
    --------
    >>> import torch
    >>> mae(torch.full((1, 1, 2, 2), -0.5), torch.zeros(1, 1, 2, 2))
    tensor([0.5000])
    """
    check_pair("mae", x_hat, x)
    return (x_hat - x).abs().flatten(1).mean(1)


def nrmse(x_hat: Tensor, x: Tensor) -> Tensor:
    r"""Root mean squared error of each image, relative to the Euclidean norm of the truth.

    .. math:: \mathrm{NRMSE} = \|\hat x - x\|_2 \,/\, \|x\|_2

    Identical images have 0, even if they are zero; any other estimate of a zero image has infinity.

    Parameters and errors are those of `mse`.

    Returns
    -------
    Tensor, shape (B,)

    Examples
    --------
    >>> import torch
    >>> nrmse(torch.full((1, 1, 2, 2), 3.0), torch.full((1, 1, 2, 2), 2.0))
    tensor([0.5000])
    """
    check_pair("nrmse", x_hat, x)
    error, size = _euclidean(x_hat - x), _euclidean(x)
    return torch.where(error == 0, error, error / torch.where(error == 0, 1, size))


def snr(x_hat: Tensor, x: Tensor) -> Tensor:
    r"""Signal-to-noise ratio of each image, in decibels.

    .. math:: \mathrm{SNR} = 20 \log_{10} \|x\|_2 / \|\hat x - x\|_2

    Identical images have +infinity, even if they are zero; any other estimate of a zero image has -infinity.

    Parameters and errors are those of `mse`.

    Returns
    -------
    Tensor, shape (B,)

    Examples
    --------
    >>> import torch
    >>> snr(torch.full((1, 1, 2, 2), 11.0), torch.full((1, 1, 2, 2), 10.0))
    tensor([20.])
    """
    check_pair("snr", x_hat, x)
    error, size = _euclidean(x_hat - x), _euclidean(x)
    return 20 * (torch.where(error == 0, 1, size).log10() - error.log10())


def psnr(x_hat: Tensor, x: Tensor, *, data_range: Tensor | float) -> Tensor:
    r"""Peak signal-to-noise ratio of each image, in decibels.

    .. math:: \mathrm{PSNR} = 10 \log_{10} R^2 / \mathrm{MSE}

    Identical images have +infinity.

    Parameters
    ----------
    x_hat, x : Tensor, shape (B, C, H, W) or (B, C, D, H, W)
        Estimate and truth; real or complex (then the modulus of the difference counts).
    data_range : float or Tensor, shape (B,)
        The range R of the data, largest possible value minus smallest; never guessed. 1 for images in [0, 1].

    Returns
    -------
    Tensor, shape (B,)

    Raises
    ------
    ShapeError
        If the shapes differ; nothing is broadcast.
    DTypeError
        If an image is of integers, or only one of the two is complex.
    ArgumentError
        If `data_range` is not positive.

    Examples
    --------
    >>> import torch
    >>> psnr(torch.full((1, 1, 2, 2), 0.1), torch.zeros(1, 1, 2, 2), data_range=1.0)
    tensor([20.])
    """
    check_pair("psnr", x_hat, x)
    peak = checked_range("psnr", data_range, x)
    return 20 * peak.log10() - 10 * _mean_square(x_hat - x).log10()


def _mean_square(x: Tensor) -> Tensor:
    numbers = real_view(x) if x.is_complex() else x.unsqueeze(-1)
    return numbers.square().sum(-1).flatten(1).mean(1)


def _euclidean(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)
