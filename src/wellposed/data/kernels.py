"""Blur kernels: the Gaussian one, and random ones of a camera that moves during the exposure."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.rng import normal_like
from wellposed.core.values import values_hold

__all__ = ["gaussian_kernel", "motion_kernel"]


def gaussian_kernel(sigma: float | Tensor, size: int = 31) -> Tensor:
    r"""Return the isotropic Gaussian kernel, sampled at the pixel centres.

    .. math:: k(u, v) \propto \exp\left(-\frac{u^2 + v^2}{2 \sigma^2}\right), \qquad \sum_{u, v} k(u, v) = 1

    Parameters
    ----------
    sigma : float or Tensor, shape (B,)
        Standard deviation in pixels; one value, or one per image. Differentiable.
    size : int
        Height and width in pixels; the centre is at (size // 2, size // 2).

    Returns
    -------
    Tensor, shape (1, 1, size, size) or (B, 1, size, size)

    Raises
    ------
    ArgumentError
        If a `sigma` is not positive, or `size` is no whole number of at least one.
    ShapeError
        If `sigma` has more than one axis.

    Examples
    --------
    >>> kernel = gaussian_kernel(torch.tensor([1.0, 2.0]), size=15)
    >>> kernel.shape
    torch.Size([2, 1, 15, 15])
    """
    _check_size(size)
    sigma = torch.as_tensor(sigma)
    sigma = sigma if sigma.is_floating_point() else sigma.to(torch.get_default_dtype())
    if sigma.ndim > 1:
        raise ShapeError(f"gaussian_kernel expects sigma of shape (B,), got {tuple(sigma.shape)}: one value per image.")
    if not values_hold(sigma > 0):
        raise ArgumentError(f"gaussian_kernel expects a positive sigma, got {sigma.min().item():g}.")
    offset = torch.arange(size, dtype=sigma.dtype, device=sigma.device) - size // 2
    profile = torch.softmax(-0.5 * (offset / sigma.reshape(-1, 1)) ** 2, dim=1)
    return (profile[:, :, None] * profile[:, None, :])[:, None]


def motion_kernel(
    batch: int,
    *,
    length_scale: float | Tensor,
    std: float | Tensor,
    size: int = 31,
    n_steps: int = 1000,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Draw the kernels of random camera motions: histograms of Gaussian-process trajectories over the exposure.

    The two coordinates of a trajectory are independent stationary Gaussian processes with the Matérn covariance of
    smoothness 5/2,

    .. math:: c(t) = s^2 \left(1 + r + \tfrac{r^2}{3}\right) e^{-r}, \qquad r = \sqrt{5} \, |t| / \ell ,

    made periodic over :math:`[-\pi, \pi]` by filtering white noise with :math:`\sqrt{|F c|}`. The exposure is one unit
    of time. Trajectories are centred on their mean, and the kernel spans :math:`[-1, 1]^2`; the few points that fall
    outside are lost.

    The modulus makes the cut-off covariance a valid one. It changes it only for length scales near one and above,
    whose trajectories get a rough component: so are the kernels with which published results were computed.

    Parameters
    ----------
    batch : int
        Number of kernels; they are independent.
    length_scale : float or Tensor, shape (batch,)
        :math:`\ell`, in units of the exposure: the smaller, the more turns. One value, or one per kernel.
    std : float or Tensor, shape (batch,)
        :math:`s`, in units of half the kernel's size. One value, or one per kernel.
    size : int
        Height and width of the kernel in pixels.
    n_steps : int
        Points of a trajectory over the whole period :math:`2\pi`; the exposure sees the first ``n_steps / 2π`` of them.
    generator : torch.Generator, optional
        The kernels lie on its device, without one on that of the tensors given.

    Returns
    -------
    Tensor, shape (batch, 1, size, size)
        Non-negative kernels that sum to one.

    Raises
    ------
    ArgumentError
        If an argument is not positive, or a trajectory lies outside the kernel altogether.
    ShapeError
        If `length_scale` or `std` does not have one value per kernel.

    References
    ----------
    C. J. Schuler, M. Hirsch, S. Harmeling, B. Schölkopf, Learning to Deblur, 2015, arXiv:1406.7444.

    Examples
    --------
    >>> kernel = motion_kernel(4, length_scale=0.6, std=0.5, generator=torch.Generator().manual_seed(0))
    >>> kernel.shape, bool(kernel.min() >= 0)
    (torch.Size([4, 1, 31, 31]), True)
    """
    _check_size(size)
    _check_batch(batch)
    device = _device(generator, length_scale, std)
    length_scale = _positive("length_scale", length_scale, batch, device)
    std = _positive("std", std, batch, device)
    if n_steps < 2 * math.pi:
        raise ArgumentError(
            f"motion_kernel expects n_steps of at least 7, got {n_steps}: the exposure sees n_steps / 2π."
        )
    time = torch.linspace(-math.pi, math.pi, n_steps, device=device)
    amplitude = torch.fft.rfft(_matern_covariance(time, length_scale, std)).abs().sqrt()
    trajectories = _trajectories(normal_like(time.new_empty(batch, 2, n_steps), generator), amplitude)
    return _histogram(trajectories - trajectories.mean(dim=-1, keepdim=True), size)


def _trajectories(white: Tensor, amplitude: Tensor) -> Tensor:
    """Return Gaussian-process coordinates over a unit of time, shape (batch, 2, n_steps // 2π)."""
    n_steps = white.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(white) * amplitude, n=n_steps)[..., : int(n_steps / (2 * math.pi))]


def _matern_covariance(time: Tensor, length_scale: float | Tensor, std: float | Tensor) -> Tensor:
    distance = math.sqrt(5) * time.abs() / length_scale
    return std**2 * (1 + distance + distance**2 / 3) * torch.exp(-distance)


def _histogram(trajectories: Tensor, size: int) -> Tensor:
    """Count the points (batch, 2, time) of each trajectory per pixel of [-1, 1]^2, normalised to sum one."""
    pixel = torch.floor((trajectories + 1) * (size / 2)).long()
    inside = ((pixel >= 0) & (pixel < size)).all(dim=1)
    if not values_hold(inside.any(dim=1)):
        raise ArgumentError("motion_kernel drew a trajectory that lies outside the kernel altogether: lower std.")
    row, column = pixel.clamp(0, size - 1).unbind(dim=1)
    weight = inside.to(trajectories.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True)
    kernel = weight.new_zeros(len(weight), size * size).scatter_add(1, row * size + column, weight)
    return kernel.unflatten(1, (1, size, size))


def _device(generator: torch.Generator | None, *values: float | Tensor) -> torch.device:
    """Return where kernels are made: the device of the generator, else that of the first tensor, else the CPU."""
    if generator is not None:
        return generator.device
    return next((value.device for value in values if isinstance(value, Tensor)), torch.device("cpu"))


def _positive(name: str, value: float | Tensor, batch: int, device: torch.device) -> float | Tensor:
    """Return a positive parameter; one that differs between kernels with two more axes."""
    if not isinstance(value, Tensor) or value.ndim == 0:
        if not value > 0:
            raise ArgumentError(f"motion_kernel expects a positive {name}, got {float(value):g}.")
        return value if not isinstance(value, Tensor) else value.to(device)
    if value.shape != (batch,):
        raise ShapeError(f"motion_kernel expects {name} of shape ({batch},), got {tuple(value.shape)}.")
    if not values_hold(value > 0):
        raise ArgumentError(f"motion_kernel expects a positive {name}, got {value.min().item():g}.")
    return value.to(device)[:, None, None]


def _check_size(size: object) -> None:
    if not isinstance(size, int) or size < 1:
        raise ArgumentError(f"a kernel has a size of one pixel or more, a whole number, got {size!r}.")


def _check_batch(batch: object) -> None:
    if not isinstance(batch, int) or batch < 1:
        raise ArgumentError(f"motion_kernel expects a batch of one kernel or more, a whole number, got {batch!r}.")
