"""The end-to-end variational network: coil maps from the measurements, then gradient steps in k-space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from wellposed.core.arguments import check_callable, check_counts
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree
from wellposed.models.unrolled.algorithm import Posed
from wellposed.models.unrolled.network import Unrolled
from wellposed.models.unrolled.norm_unet import NormUNet
from wellposed.models.unrolled.numbers import Numbers, Positive
from wellposed.models.unrolled.repeat import Memory
from wellposed.models.unrolled.step import LearnedStep, in_kind
from wellposed.models.unrolled.varnet import descended, redrawn
from wellposed.operators import CartesianMRI, Mask
from wellposed.optim import LeastSquares, ProximalGradient, RegularisedProblem
from wellposed.physics import Physics, as_physics

__all__ = ["E2EVarNet", "KSpaceStep", "central_box"]

_DESCENT = ProximalGradient(tolerance=None, accelerated=False)

Output = Literal["combined", "rss"]


class KSpaceProblem(NamedTuple):
    """The misfit of k-space with its default step size, and the coils: y = C x for a k-space that is sampled fully."""

    posed: Posed
    coils: CartesianMRI


@final
class KSpaceStep(LearnedStep):
    r"""A gradient step on the samples of k-space, less what a network makes of the image that the coils see together.

    .. math:: k^+ = k - \eta\, M (M k - y) - C\, U(C^H k), \qquad C = F S

    with M the mask, F the Fourier transform and S the coil maps of the physics.

    Parameters
    ----------
    network : callable
        The network U, ``network(x)``, for complex images (B, 1, H, W).
    weight : float or sequence of float
        The weight eta.
    output : {"combined", "rss"}
        The image: :math:`C^H k`, complex, or the root sum of squares of the coil images, real, as published.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the network is no function.
    UnknownNameError
        If there is no such output.

    References
    ----------
    Sriram, Zbontar, Murrell, Defazio, Zitnick, Yakubova, Knoll, Johnson, *End-to-end variational networks for
    accelerated MRI reconstruction*, MICCAI 2020, arXiv:2004.06688.
    """

    def __init__(
        self, network: Callable[[Tensor], Tensor], *, weight: Numbers = 1.0, output: Output = "combined"
    ) -> None:
        super().__init__()
        check_callable("KSpaceStep", "the network", network)
        check_name("output", output, ("combined", "rss"))
        self.network, self.weight, self.output = network, weight, output
        self.weights = Positive("weight", weight)

    def pose(self, y: Tree, physics: Physics) -> tuple[KSpaceProblem, Any]:
        """Return the problem, and the state that starts from the samples and zeros elsewhere.

        Raises
        ------
        UnsupportedError
            Unless the operator is `CartesianMRI` of images with coil maps.
        """
        operator: Any = sampled(physics)
        if operator.coil_maps is None:
            raise UnsupportedError("KSpaceStep needs a CartesianMRI with coil_maps: E2EVarNet estimates them.")
        whole = torch.ones_like(operator.mask[:1, :1])
        coils = CartesianMRI(whole, operator.image_shape, operator.coil_maps)
        k_space: Any = y
        data = LeastSquares(Mask(operator.mask.expand(-1, -1, *operator.image_shape[1:])), k_space)
        first = _DESCENT.init(RegularisedProblem(data), data.backprojection)
        return KSpaceProblem(Posed(data, first), coils), first

    def step(self, problem: KSpaceProblem, state: Any, index: int) -> Any:
        """Take the step of gradient descent in k-space."""

        def refined(k_space: Tensor) -> Tensor:
            image: Any = problem.coils.adjoint(k_space)
            seen: Any = problem.coils(in_kind(self.network)(image))
            return seen

        return descended(problem.posed, state, self.weights(index), refined)

    def image(self, problem: KSpaceProblem, state: Any) -> Tensor:
        """Return the image of a k-space."""
        if self.output == "combined":
            combined: Any = problem.coils.adjoint(state.x)
            return combined
        alone = CartesianMRI(problem.coils.mask, tuple(state.x.shape[1:]))
        coil_images: Any = alone.adjoint(state.x)
        return torch.linalg.vector_norm(coil_images, dim=1, keepdim=True)

    def write(self, state: Any, variables: Tree) -> Any:
        """Return the state with another k-space."""
        return state._replace(x=variables, ahead=variables)


@final
class E2EVarNet(nn.Module):
    r"""The end-to-end variational network: one network estimates the coil maps, another one for each step the image.

    .. math:: S = \frac{U_s(F^{-1} M_c\, y)}{\|U_s(F^{-1} M_c\, y)\|}, \qquad
        k_{t+1} = k_t - \eta_t\, M (M k_t - y) - C\, U_t(C^H k_t)

    with :math:`M_c` the fully sampled middle of k-space. The coil maps are estimated for each coil by itself, with one
    network for all, and normalised over the coils; the physics tells the mask alone.

    Parameters
    ----------
    n_iter : int
        How many steps (cascades).
    width, levels : int
        Of the U-Net of each step.
    map_width, map_levels : int
        Of the U-Net of the coil maps.
    output : {"combined", "rss"}
        As in `KSpaceStep`; published is the root sum of squares.
    memory : {"store", "checkpoint"}
        As in `Unrolled`.

    Raises
    ------
    ArgumentError
        If something is not a whole number above zero.
    UnknownNameError
        If there is no such output or memory.

    References
    ----------
    Sriram, Zbontar, Murrell, Defazio, Zitnick, Yakubova, Knoll, Johnson, *End-to-end variational networks for
    accelerated MRI reconstruction*, MICCAI 2020, arXiv:2004.06688.

    Examples
    --------
    >>> import wellposed as wp
    >>> maps = torch.ones(2, 16, 16, dtype=torch.complex64)
    >>> physics = wp.Physics(wp.operators.CartesianMRI(torch.ones(1, 1, 1, 16), (1, 16, 16), maps))
    >>> y = physics(torch.rand(1, 1, 16, 16) + 0j)
    >>> E2EVarNet(n_iter=2, width=2, map_width=2, levels=1, map_levels=1)(y, physics).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(
        self,
        n_iter: int = 12,
        width: int = 18,
        levels: int = 4,
        *,
        map_width: int = 8,
        map_levels: int = 4,
        output: Output = "combined",
        memory: Memory = "store",
    ) -> None:
        super().__init__()
        check_counts("E2EVarNet", n_iter=n_iter, width=width, levels=levels)
        check_counts("E2EVarNet", map_width=map_width, map_levels=map_levels)
        self.n_iter, self.width, self.levels = n_iter, width, levels
        self.map_width, self.map_levels, self.output, self.memory = map_width, map_levels, output, memory
        self.maps = NormUNet(width=map_width, levels=map_levels)
        step = KSpaceStep(NormUNet(width=width, levels=levels), output=output)
        self.cascades = redrawn(Unrolled(step, n_iter, tied=False, memory=memory))

    def forward(self, y: Tensor, physics: Physics) -> Tensor:
        """Reconstruct images.

        Parameters
        ----------
        y : Tensor, shape (B, coils, H, W), complex
        physics : Physics
            With `CartesianMRI`; its coil maps, if it has any, are not read.

        Returns
        -------
        Tensor, shape (B, 1, H, W)

        Raises
        ------
        UnsupportedError
            If the operator is another one.
        ArgumentError
            If the mask leaves out the middle of k-space.
        """
        operator = sampled(as_physics(physics, y))
        maps = self.estimated_maps(y, operator.mask)
        single = CartesianMRI(operator.mask, (1, *y.shape[-2:]), maps)
        return self.cascades(y, Physics(single, physics.noise))

    def estimated_maps(self, y: Tensor, mask: Tensor) -> Tensor:
        """Return coil maps (B, coils, H, W) whose squared magnitudes add up to one."""
        box = central_box(mask.expand(-1, -1, *y.shape[-2:]))
        whole = CartesianMRI(torch.ones_like(mask[:1, :1, :1, :1]), tuple(y.shape[1:]))
        low: Any = whole.adjoint(y * box)
        maps = self.maps(low.flatten(0, 1)[:, None]).view_as(low)
        size = torch.linalg.vector_norm(maps, dim=1, keepdim=True)
        return maps / torch.where(size > 0, size, 1)


def sampled(physics: Physics) -> CartesianMRI:
    """Return the operator, if it samples k-space on a grid.

    Raises
    ------
    UnsupportedError
        If it does not.
    """
    operator = physics.operator
    if not isinstance(operator, CartesianMRI) or len(operator.image_shape) != 3:
        raise UnsupportedError(
            f"variational networks in k-space need CartesianMRI of images (C, H, W), got {type(operator).__name__}."
        )
    return operator


def central_box(mask: Tensor) -> Tensor:
    """Return one in the box around DC along whose central row and column everything is sampled, shape of the mask.

    Raises
    ------
    ArgumentError
        If DC itself is not sampled.
    """
    row, column = mask.shape[-2] // 2, mask.shape[-1] // 2
    seen = (mask != 0).to(mask.dtype)
    if not bool((seen[..., row, column] > 0).all()):
        raise ArgumentError("E2EVarNet estimates coil maps from the middle of k-space, which the mask leaves out.")
    across = _run_around(seen[..., row, :], column)
    along = _run_around(seen[..., :, column], row)
    return along[..., :, None] * across[..., None, :]


def _run_around(line: Tensor, middle: int) -> Tensor:
    """Return one where everything from the middle on is one, along the last axis."""
    after = line[..., middle:].cumprod(-1)
    before = line[..., :middle].flip(-1).cumprod(-1).flip(-1)
    return torch.cat([before, after], dim=-1)
