"""Learned primal-dual reconstruction for any linear physics with images as measurements."""

from __future__ import annotations

from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from wellposed.core.arguments import check_counts
from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.tree import per_image
from wellposed.models.unrolled.repeat import repeat
from wellposed.physics import Physics, as_physics

__all__ = ["PDNet"]


@final
class PDNet(nn.Module):
    r"""Alternate small networks in the image and in the measurements, joined by the operator and its adjoint.

    .. math:: h_{i+1} = h_i + \Gamma_i(h_i,\ \bar A f_i^{(2)},\ \bar y), \qquad
        f_{i+1} = f_i + \Lambda_i(f_i,\ \bar A^H h_{i+1}^{(1)}), \qquad i = 0, \dots, n - 1

    :math:`f` and :math:`h` are stacks of images and of measurements, a memory, of which one entry is exchanged; they
    start at zero, and :math:`\hat x = f_n^{(1)}`. :math:`\bar A = A / \|A\|` and :math:`\bar y = y / \|A\|`, so that
    the unit of the measurements does not matter. Complex numbers are two channels inside.

    Parameters
    ----------
    image_channels, measurement_channels : int
        Channels of the images and of the measurements, 2C for C complex ones.
    n_iter : int
        Number of iterations; each has weights of its own.
    n_memory : int
        Entries of each stack, at least two.
    width : int
        Channels of the hidden layers.
    memory : {"store", "checkpoint"}
        What training keeps for the backward pass: everything, or the stacks between iterations, as in `Unrolled`.

    Raises
    ------
    ArgumentError
        If something is not a whole number above zero, or the stacks are shorter than two.
    UnknownNameError
        If there is no such `memory`.

    References
    ----------
    Adler, Oktem, *Learned primal-dual reconstruction*, IEEE Trans. Medical Imaging 37 (2018),
    doi:10.1109/TMI.2018.2799231, arXiv:1707.06474.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Downsample(2, image_shape=(1, 16, 16)))
    >>> y = physics(torch.rand(2, 1, 16, 16))
    >>> PDNet(n_iter=2, width=4)(y, physics).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(
        self,
        image_channels: int = 1,
        measurement_channels: int = 1,
        n_iter: int = 10,
        n_memory: int = 5,
        width: int = 32,
        memory: Literal["store", "checkpoint"] = "store",
    ) -> None:
        super().__init__()
        check_name("memory", memory, ("store", "checkpoint"))
        check_counts("PDNet", image_channels=image_channels, measurement_channels=measurement_channels)
        check_counts("PDNet", n_iter=n_iter, n_memory=n_memory, width=width)
        if n_memory < 2:
            raise ArgumentError(
                f"PDNet expects n_memory >= 2, as the second image goes to the measurements, got {n_memory}."
            )
        self.image_channels, self.measurement_channels = image_channels, measurement_channels
        self.n_iter, self.n_memory, self.width, self.memory = n_iter, n_memory, width, memory
        images, measurements = n_memory * image_channels, n_memory * measurement_channels
        self.primal = nn.ModuleList(_block(images + image_channels, width, images) for _ in range(n_iter))
        self.dual = nn.ModuleList(
            _block(measurements + 2 * measurement_channels, width, measurements) for _ in range(n_iter)
        )

    def forward(self, y: Tensor, physics: Physics, *, exposure: Tensor | None = None) -> Tensor:
        """Reconstruct images.

        Parameters
        ----------
        y : Tensor, shape (B, *measurement_shape)
            Two-dimensional with channels: (B, C', H', W'), of the precision of the weights.
        physics : Physics
            With a linear operator; also one of DeepInverse.
        exposure : Tensor, shape (1,) or (B,), optional
            The norm of the operator, by default what `expose` reads.

        Returns
        -------
        Tensor, shape (B, *image_shape)

        Raises
        ------
        UnsupportedError
            If the operator is not linear, or images or measurements are not (B, C, H, W).
        ShapeError
            If the channels are not those of the network, or the measurements do not fit the physics.
        DTypeError
            If the measurements have another precision than the weights.
        """
        operator: Any = as_physics(physics, y).linear_operator
        back = operator.adjoint(y)
        self._check("images", self.image_channels, back)
        self._check("measurements", self.measurement_channels, y)
        norm = per_image(operator.norm() if exposure is None else exposure, y)
        seen = _real(y / norm)
        f = torch.zeros_like(_real(back)).repeat(1, self.n_memory, 1, 1)
        h = torch.zeros_like(seen).repeat(1, self.n_memory, 1, 1)

        def iteration(stacks: tuple[Tensor, Tensor], index: int) -> tuple[Tensor, Tensor]:
            f, h = stacks
            predicted = operator(self._entry(f, 1, back)) / norm
            h = h + self.dual[index](torch.cat([h, _real(predicted), seen], dim=1))
            update = operator.adjoint(self._entry(h, 0, y)) / norm
            f = f + self.primal[index](torch.cat([f, _real(update)], dim=1))
            return f, h

        f, _ = repeat(iteration, (f, h), self.n_iter, checkpointed=self.memory == "checkpoint")
        return self._entry(f, 0, back)

    def expose(self, y: Tensor, physics: Physics) -> Tensor:
        """Return what the network takes from the physics as a whole: the operator norm, shape (1,) or (B,)."""
        return as_physics(physics, y).linear_operator.norm()

    def _entry(self, stack: Tensor, index: int, like: Tensor) -> Tensor:
        """Return one entry of a stack, complex if `like` is."""
        entry = stack.chunk(self.n_memory, dim=1)[index]
        return channels_to_complex(entry) if like.is_complex() else entry

    def _check(self, role: str, channels: int, value: Any) -> None:
        if not isinstance(value, Tensor) or value.ndim != 4:
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise UnsupportedError(f"PDNet works on {role} of shape (B, C, H, W), got {got}.")
        got_channels = value.shape[1] * (2 if value.is_complex() else 1)
        if got_channels != channels:
            raise ShapeError(
                f"PDNet was built for {role} of {channels} real channels, got {got_channels} (a complex one counts as "
                f"two): build it with {role[:-1]}_channels={got_channels}."
            )
        precision = next(self.parameters()).dtype
        if value.dtype.to_real() != precision:
            raise DTypeError(
                f"PDNet has {precision} weights and got {value.dtype} {role}: convert one with .to(dtype)."
            )


def _real(x: Tensor) -> Tensor:
    return complex_to_channels(x) if x.is_complex() else x


def _block(in_channels: int, width: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1),
        nn.PReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.PReLU(),
        nn.Conv2d(width, out_channels, 3, padding=1),
    )
