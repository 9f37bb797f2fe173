"""Make any denoiser treat an image as it treats its turned, mirrored or shifted copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

import torch
from torch import Tensor

from wellposed.core.names import check_name
from wellposed.models._groups import GROUPS, Shift, Turn
from wellposed.models.base import Denoiser, Level

__all__ = ["Equivariant"]


@final
class Equivariant(Denoiser):
    r"""Conjugate a denoiser by a group of motions g, at random or averaged over all of them.

    .. math:: \hat x = g^{-1} D(g x, g \sigma) \ \text{for a random}\ g, \qquad\text{or}\qquad
        \hat x = \frac{1}{|G|} \sum_{g \in G} g^{-1} D(g x, g \sigma)

    The average is exactly equivariant, :math:`\hat x(g x) = g\, \hat x(x)`, at :math:`|G|` times the cost; the random
    one is so on average, at no cost. Inside an iteration either makes plug-and-play methods more stable.

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, sigma)`.
    transforms : {"dihedral", "rotations", "flips", "shifts"}
        The group: the 8 symmetries of the square, its 4 quarter turns, the 4 combinations of both mirrors, or the H W
        cyclic shifts (whose average is for small images only).
    mode : {"random", "average"}
        One motion a call, the same for all images of the batch, or the mean over all motions.

    Raises
    ------
    UnknownNameError
        If there is no such group or mode.

    References
    ----------
    Terris, Moreau, Pustelnik, Tachella, *Equivariant plug-and-play image reconstruction*, CVPR 2024, arXiv:2312.01831.

    Examples
    --------
    >>> from wellposed.models import DenoiserTiny
    >>> denoiser = Equivariant(DenoiserTiny(channels=1, widths=(4, 8), blocks=1), mode="average")
    >>> x = torch.rand(1, 1, 8, 8)
    >>> torch.allclose(denoiser(x.rot90(dims=(2, 3)), 0.1), denoiser(x, 0.1).rot90(dims=(2, 3)), atol=1e-6)
    True
    """

    def __init__(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        transforms: Literal["dihedral", "rotations", "flips", "shifts"] = "dihedral",
        mode: Literal["random", "average"] = "random",
    ) -> None:
        super().__init__()
        check_name("group of transforms", transforms, GROUPS)
        check_name("mode", mode, ("random", "average"))
        self.denoiser, self.transforms, self.mode = denoiser, transforms, mode
        self.channels = getattr(denoiser, "channels", None)
        self.blind = getattr(denoiser, "blind", False)

    def forward(self, x: Tensor, sigma: Level | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """Denoise images, as any denoiser does.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
        sigma : float or Tensor, shape (), (B,) or (B or 1, 1, H or 1, W or 1)
        generator : torch.Generator, optional
            Where the random motion comes from; torch's own by default. The average draws nothing.

        Returns
        -------
        Tensor, shape (B, C, H, W)
        """
        self._check_image(x)
        return self._denoise(x, self._level(x, sigma), generator)

    def _denoise(self, x: Tensor, sigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
        group = GROUPS[self.transforms](*x.shape[-2:])
        if self.mode == "random":
            device = "cpu" if generator is None else generator.device
            index = int(torch.randint(group.size, (), generator=generator, device=device))
            return self._moved(x, sigma, group.element(index))
        total = torch.zeros_like(x)
        for index in range(group.size):
            total = total + self._moved(x, sigma, group.element(index))
        return total / group.size

    def _moved(self, x: Tensor, sigma: Tensor, motion: Turn | Shift) -> Tensor:
        return motion.undo(self.denoiser(motion.act(x), motion.act(sigma)))
