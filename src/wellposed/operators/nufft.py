"""The nonuniform Fourier transform: images to samples of their spectrum anywhere."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.shapes import fixed_shape
from wellposed.operators._nonuniform_sampling import NonuniformSampling

__all__ = ["NUFFT"]


class NUFFT(NonuniformSampling):
    r"""Sample the Fourier transform of complex images along a trajectory.

    .. math:: y_j = \frac{1}{\sqrt N} \sum_n x_n e^{-i k_j \cdot r_n}

    for N pixels at whole positions :math:`r_n`, which count from the middle (size // 2) of each axis: at
    :math:`k = 2 \pi m / N` this is the centred orthonormal transform of `CartesianMRI`. Images and channels go
    through in one call where they share the trajectory. The gram is a convolution on a doubled grid (Toeplitz
    embedding), much faster than forward and adjoint.

    finufft computes it on the CPU (`wellposed[mri]`), cufinufft on a GPU (`wellposed[mri-cuda]`). With several threads
    the order of its sums, hence the last digits, may differ between calls.

    Parameters
    ----------
    trajectory : Tensor, shape (K, d), or (B or 1, ..., d) with d = 2 or 3
        In radians per pixel, in [-pi, pi], one coordinate for each axis of the image in its order: rows first, then
        columns. float32 or float64. Differentiable to any order.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    tolerance : float, optional
        Relative accuracy; by default 1e-6 for float32 and 1e-12 for float64. Float32 with a loose one, such as 1e-4
        for 256 pixels, is computed in single precision throughout, which is up to twice as fast.

    Raises
    ------
    ShapeError
        If the trajectory has not one coordinate for each axis of the image.
    ArgumentError
        If a coordinate is outside [-pi, pi], with the conversions.
    DTypeError
        If the trajectory is no tensor of floating-point numbers, and when called with a real image.
    MissingDependencyError
        When called without finufft.

    Warns
    -----
    UserWarning
        If the trajectory ends at 0.5, as one in cycles per pixel does.

    References
    ----------
    Barnett, Magland, af Klinteberg, *A parallel nonuniform fast Fourier transform library based on an "exponential of
    semicircle" kernel*, SIAM J. Sci. Comput. 41 (2019). Fessler et al., *Toeplitz-based iterative image reconstruction
    for MRI with correction for magnetic field inhomogeneity*, IEEE Trans. Signal Processing 53 (2005).

    Examples
    --------
    >>> import torch
    >>> A = NUFFT(torch.tensor([[0.0, 0.0], [1.0, -2.0]]), image_shape=(1, 8, 8))
    >>> y = A(torch.ones(1, 1, 8, 8, dtype=torch.complex64))
    >>> y.shape, round(y[0, 0, 0].real.item(), 4)
    (torch.Size([1, 1, 2]), 8.0)
    """

    def __init__(self, trajectory: Tensor, image_shape: tuple[int, ...], tolerance: float | None = None) -> None:
        sizes = fixed_shape("NUFFT", image_shape)
        super().__init__(trajectory, sizes, sizes[0] if sizes else None, tolerance)
