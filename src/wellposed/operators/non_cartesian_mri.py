"""Magnetic resonance imaging along radial, spiral or any other trajectories, with one coil or many."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.shapes import fixed_shape
from wellposed.operators._coils import checked_maps, combine, spread, with_sets
from wellposed.operators._nonuniform_sampling import NonuniformSampling

__all__ = ["NonCartesianMRI"]


class NonCartesianMRI(NonuniformSampling):
    r"""Sample the Fourier transform of a complex image, as each coil sees it, along a trajectory.

    .. math:: y_l = F_k \sum_s S_{sl} \odot x_s

    :math:`F_k` is the transform of `NUFFT`. All coils and images go through it in one call; the gram is one convolution
    a coil. Density compensation (`wellposed.data.ramp_density` and others) goes between measurements and adjoint:
    `A.adjoint(density * y)`.

    Parameters
    ----------
    trajectory : Tensor, shape (K, d), or (B or 1, ..., d) with d = 2 or 3
        As in `NUFFT`, such as (1, shots, samples, d). Differentiable.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    coil_maps : Tensor, shape (coils, H, W), (B or 1, coils, H, W) or (B or 1, sets, coils, H, W), optional
        Complex sensitivities, a depth more for volumes; images have one channel a set. Differentiable.
    tolerance : float, optional
        Relative accuracy; by default 1e-6 in single precision and 1e-12 in double.

    Raises
    ------
    ShapeError
        If the trajectory or the coil maps do not fit the image.
    ArgumentError
        If a coordinate is outside [-pi, pi], with the conversions.
    DTypeError
        If the trajectory is no tensor, the coil maps are real, and when called with a real image.

    References
    ----------
    Pruessmann et al., *Advances in sensitivity encoding with arbitrary k-space trajectories*, Magnetic Resonance in
    Medicine 46 (2001).

    Examples
    --------
    >>> import torch
    >>> maps = torch.ones(4, 8, 8, dtype=torch.complex64)
    >>> A = NonCartesianMRI(torch.zeros(1, 3, 5, 2), (1, 8, 8), maps)
    >>> A(torch.ones(1, 1, 8, 8) + 0j).shape
    torch.Size([1, 4, 3, 5])
    """

    coil_maps: Tensor | None

    def __init__(
        self,
        trajectory: Tensor,
        image_shape: tuple[int, ...],
        coil_maps: Tensor | None = None,
        tolerance: float | None = None,
    ) -> None:
        sizes = fixed_shape("NonCartesianMRI", image_shape)
        space = sizes[1:]
        maps = checked_maps("NonCartesianMRI", coil_maps, sizes[0], space)
        channels = sizes[0] if maps is None else with_sets(maps, len(space)).shape[2]
        super().__init__(trajectory, sizes, channels, tolerance)
        if maps is None:
            self.register_buffer("coil_maps", None)
        else:
            self.register_parameter_tensor("coil_maps", maps)

    def _seen(self, x: Tensor) -> Tensor:
        return x if self.coil_maps is None else spread(x, with_sets(self.coil_maps, len(self._sizes())))

    def _combined(self, images: Tensor) -> Tensor:
        if self.coil_maps is None:
            return images
        return combine(images, with_sets(self.coil_maps, len(self._sizes())))
