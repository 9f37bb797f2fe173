"""The structural similarity index."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.precision import in_own_precision
from wellposed.core.tree import per_image
from wellposed.metrics._pairs import check_pair, checked_range

__all__ = ["ssim"]

_SIGMA = 1.5
_RADIUS = 5
_K1, _K2 = 0.01, 0.03


@in_own_precision
def ssim(x_hat: Tensor, x: Tensor, *, data_range: Tensor | float) -> Tensor:
    r"""Mean structural similarity of each image.

    .. math::
        \mathrm{SSIM} = \Big\langle
        \frac{(2 \mu_{\hat x} \mu_x + c_1)(2 \sigma_{\hat x x} + c_2)}
             {(\mu_{\hat x}^2 + \mu_x^2 + c_1)(\sigma_{\hat x}^2 + \sigma_x^2 + c_2)} \Big\rangle,
        \qquad c_1 = (0.01 R)^2, \quad c_2 = (0.03 R)^2

    Local means, variances and covariance are weighted by a Gaussian of standard deviation 1.5 pixels, cut to 11 pixels
    along each axis; the mean runs over the pixels whose window lies inside the image, and over the channels. The same
    as scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.
    Differentiable in both images.

    Parameters
    ----------
    x_hat, x : Tensor, shape (B, C, H, W) or (B, C, D, H, W)
        Estimate and truth. Complex images are compared by their magnitudes: their phase is ignored.
    data_range : float or Tensor, shape (B,)
        The range R of the data, largest possible value minus smallest; never guessed. 1 for images in [0, 1].

    Returns
    -------
    Tensor, shape (B,)
        At most 1, which only identical images reach.

    Raises
    ------
    ShapeError
        If the shapes differ, or an axis is shorter than 11 pixels.
    DTypeError
        If an image is of integers, or only one of the two is complex.
    ArgumentError
        If `data_range` is not positive.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli, *Image quality assessment: from error visibility to structural similarity*, IEEE
    Trans. Image Processing 13 (2004), doi:10.1109/TIP.2003.819861.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 3, 16, 16)
    >>> ssim(x, x, data_range=1.0)
    tensor([1., 1.])
    """
    check_pair("ssim", x_hat, x)
    if min(x.shape[2:]) <= 2 * _RADIUS:
        raise ShapeError(
            f"ssim expects images of at least {2 * _RADIUS + 1} pixels along each axis, the size of its window, "
            f"got {tuple(x.shape)}: use psnr or nrmse, or pad both images."
        )
    if x.is_complex():
        x_hat, x = x_hat.abs(), x.abs()
    peak = per_image(checked_range("ssim", data_range, x), x)
    c1, c2 = (_K1 * peak).square(), (_K2 * peak).square()

    level = x.detach().flatten(1).mean(1)
    u, v = x_hat - per_image(level, x), x - per_image(level, x)
    u_mean, v_mean, uu, vv, uv = _local_means(torch.cat([u, v, u * u, v * v, u * v], dim=1)).chunk(5, dim=1)
    u_variance, v_variance, covariance = uu - u_mean.square(), vv - v_mean.square(), uv - u_mean * v_mean
    x_hat_mean, x_mean = u_mean + per_image(level, x), v_mean + per_image(level, x)

    luminance = (2 * x_hat_mean * x_mean + c1) / (x_hat_mean.square() + x_mean.square() + c1)
    structure = (2 * covariance + c2) / (u_variance + v_variance + c2)
    return (luminance * structure).flatten(1).mean(1)


def _local_means(maps: Tensor) -> Tensor:
    """Average (B, C, *space) with the Gaussian window, one axis after the other, where it lies inside."""
    convolve = torch.conv2d if maps.ndim == 4 else torch.conv3d
    channels, window = maps.shape[1], _window(maps)
    for axis in range(2, maps.ndim):
        along_axis = window.view([-1 if k == axis else 1 for k in range(maps.ndim)])
        maps = convolve(maps, along_axis.repeat_interleave(channels, dim=0), groups=channels)
    return maps


def _window(like: Tensor) -> Tensor:
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=like.dtype, device=like.device)
    weights = torch.exp(-0.5 * (offsets / _SIGMA).square())
    return weights / weights.sum()
