"""`wp.reconstruct`: from measurements to an image, without tuning."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from wellposed.core.arguments import check_finite
from wellposed.core.errors import SolverError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.shapes import check_tensor
from wellposed.core.tree import Tree, tree_leaves
from wellposed.operators import LinearOperator
from wellposed.optim import DenoiserFunction, noise_levels
from wellposed.physics import Physics, as_physics
from wellposed.solvers import LSMR, Status, least_squares
from wellposed.verbs._networks import bundled_file, network
from wellposed.verbs._plug_and_play import denoise_parts, plug_and_play, red, scheduled
from wellposed.verbs._variational import total_variation, wavelets

__all__ = [
    "METHODS",
    "NETWORKS",
    "SLOW",
    "Reconstructor",
    "check_method",
    "choose_method",
    "dpir",
    "installed",
    "reconstruct",
]

logger = logging.getLogger("wellposed")

Reconstructor: TypeAlias = Callable[[Tree, Physics], Tensor]
"""Anything that recovers an image: `x_hat = model(y, physics)`."""

Progress: TypeAlias = Callable[[int, int], Any]
"""Called as `callback(step, max_steps)` after each step of a long reconstruction."""

_DENOISERS = ("denoiser-tiny-rgb", "denoiser-tiny-grey")

NETWORKS: dict[str, tuple[str, ...]] = {
    "pnp": _DENOISERS,
    "red": _DENOISERS,
    "dpir": _DENOISERS,
    "ram": ("ram-small",),
}
"""The weights that methods use, by method."""

SLOW = frozenset({"dip"})
"""The methods that take minutes for a picture, which comparisons of all methods leave out."""

_FEW_CHANNELS = (1, 2, 3)


def _adjoint(y: Tree, physics: Physics, _callback: Progress | None) -> Tensor:
    return physics.A_adjoint(y)


def _pseudo_inverse(y: Tree, physics: Physics, _callback: Progress | None) -> Tensor:
    """Return the pseudo-inverse, or what least squares reach where it has no closed form and the iteration no end."""
    operator = physics.linear_operator
    if operator.has_closed_form("pinv"):
        return physics.A_dagger(y)
    solution = least_squares(operator, operator.adjoint, y, solver=LSMR(), throw=False)
    if solution.status is Status.not_finite:
        raise SolverError(solution.status.value)
    if solution.status is not Status.converged:
        logger.warning(
            "pinv: %s is ill-conditioned: least squares ended after %d steps, short of its pseudo-inverse, which has "
            "still more noise; methods that regularise do better",
            type(operator).__name__,
            solution.stats["steps"],
        )
    return cast("Tensor", solution.value)


def _filtered_backprojection(y: Tree, physics: Physics, _callback: Progress | None) -> Tensor:
    operator: Any = physics.operator
    if not _is_tomography(operator):
        raise UnsupportedError(
            f"filtered backprojection is for tomography, and {type(operator).__name__} is something else."
        )
    return operator.fbp(y)


def _is_tomography(operator: Any) -> bool:
    return hasattr(operator, "fbp")


def _pnp(y: Tree, physics: Physics, callback: Progress | None) -> Tensor:
    return plug_and_play(y, physics, _bundled_denoiser, callback)


def _red(y: Tree, physics: Physics, callback: Progress | None) -> Tensor:
    return red(y, physics, _bundled_denoiser, callback)


def _dpir(y: Tree, physics: Physics, callback: Progress | None) -> Tensor:
    return scheduled(y, physics, _bundled_denoiser, callback)


def _bundled_denoiser(x: Tensor, sigma: Tensor) -> Tensor:
    """Denoise colour images as such, and all others part by part."""
    colour, grey = _DENOISERS
    if _is_colour(x):
        return network(colour, x)(x, sigma)
    return denoise_parts(network(grey, x), x, sigma)


def _dip(y: Tree, physics: Physics, callback: Progress | None) -> Tensor:
    from wellposed.models import DeepImagePrior

    return DeepImagePrior()(y, physics, callback)


def _is_colour(image: Tensor) -> bool:
    return image.ndim == 4 and image.shape[1] == 3 and not image.is_complex()


def _ram(y: Tree, physics: Physics, _callback: Progress | None) -> Tensor:
    """Ask the network; noise that has neither of the levels that it knows counts by its variance."""
    model = network(NETWORKS["ram"][0], tree_leaves(y)[0])
    if isinstance(y, Tensor) and not (hasattr(physics.noise, "sigma") or hasattr(physics.noise, "gain")):
        return model(y, physics, sigma=noise_levels(y, physics).measurements)
    return model(y, physics)


METHODS: dict[str, Callable[[Tree, Physics, Progress | None], Tensor]] = {
    "adjoint": _adjoint,
    "fbp": _filtered_backprojection,
    "pinv": _pseudo_inverse,
    "tv": total_variation,
    "wavelet": wavelets,
    "pnp": _pnp,
    "red": _red,
    "dpir": _dpir,
    "dip": _dip,
    "ram": _ram,
}
"""How to reconstruct, by name."""


@torch.no_grad()
def reconstruct(
    y: Tree, physics: Physics, method: str | Reconstructor = "auto", *, callback: Progress | None = None
) -> Tensor:
    """Recover an image from its measurements.

    Parameters
    ----------
    y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
    physics : Physics
        With a linear operator; how the measurements came about. One of DeepInverse will do.
    method : str or callable
        "ram" (the bundled network), "dpir" (plug-and-play with the bundled denoiser, from strong to weak), "pnp"
        (plug-and-play at one level), "red" (regularisation by denoising), "dip" (deep image prior: a network fitted to
        these measurements alone, minutes), "tv" (total variation) or "wavelet" (sparsity in wavelets), their weights
        chosen from the noise level and the operator, "fbp" (filtered backprojection, of sinograms), "pinv"
        (pseudo-inverse; where it is out of reach, least squares stopped early and a logged warning), "adjoint", or any
        model called as `model(y, physics)`. By default "auto", which is what `choose_method` says and is logged as
        information.
    callback : callable, optional
        Called as `callback(step, max_steps)` after each step, for progress bars.

    Returns
    -------
    Tensor, shape (B, *image_shape)

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ArgumentError
        If the measurements hold a NaN or an infinity.
    ShapeError, DTypeError
        If the measurements do not fit the physics.
    UnsupportedError
        If the operator is not linear.
    MissingFileError
        If the weights that the method needs are not part of this installation.

    References
    ----------
    Rudin, Osher, Fatemi, Physica D 60 (1992). Coifman and Donoho, *Translation-invariant de-noising*, 1995. Zhang et
    al., *Plug-and-play image restoration with deep denoiser prior*, IEEE Trans. PAMI 44 (2022). Romano, Elad, Milanfar,
    *The little engine that could*, SIAM J. Imaging Sci. 10 (2017). Ulyanov, Vedaldi, Lempitsky, *Deep image prior*,
    CVPR 2018. Terris et al., *Reconstruct Anything Model*, 2025, arXiv:2503.08915.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity((1, 8, 8)), wp.noise.Gaussian(0.1))
    >>> y = physics(torch.ones(1, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    >>> bool((wp.reconstruct(y, physics, "tv") - 1).abs().max() < (y - 1).abs().max())
    True
    """
    if not callable(method):
        check_method(method)
    for leaf in tree_leaves(y):
        check_tensor("reconstruct", "measurements", leaf)
        check_finite("the measurements", leaf)
    if callable(method):
        return method(y, physics)
    physics = as_physics(physics, y)
    if method == "auto":
        method = choose_method(y, physics)
        logger.info("reconstruct: %s by %s", type(physics.operator).__name__, method)
    return METHODS[method](y, physics, callback)


def choose_method(y: Tree, physics: Physics) -> str:
    """Return the name of the method that `reconstruct` takes by default.

    Where the operator is linear and no tomography, and images are real with one, two or three channels, it is "dpir",
    the best so far on photographs, slices and microscopy, or else "ram", if the weights are part of the installation.
    For all others it is "tv".

    Parameters
    ----------
    y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
    physics : Physics

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity((7, 8, 8)), wp.noise.Gaussian(0.1))
    >>> choose_method(torch.ones(1, 7, 8, 8), physics)
    'tv'
    """
    physics = as_physics(physics, y)
    operator = physics.operator
    image = operator.adjoint(y) if isinstance(operator, LinearOperator) else None
    if not isinstance(image, Tensor) or image.ndim != 4 or _is_tomography(operator):
        return "tv"
    if image.is_complex() or image.shape[1] not in _FEW_CHANNELS:
        return "tv"
    return next((method for method in ("dpir", "ram") if installed(method)), "tv")


def installed(method: str) -> bool:
    """Tell whether the weights that a method needs are part of this installation; most need none."""
    return all(bundled_file(name) for name in NETWORKS.get(method, ()))


def check_method(name: str) -> str:
    """Return the name of a method if there is one of that name, "auto" included.

    Raises
    ------
    UnknownNameError
        Otherwise.
    """
    return check_name("method", name, ("auto", *METHODS))


def dpir(denoiser: DenoiserFunction) -> Reconstructor:
    """Return plug-and-play reconstruction with a denoiser of yours: a method for `reconstruct`.

    Parameters
    ----------
    denoiser : callable
        ``x_hat = denoiser(x, sigma)``, with sigma of shape (B,) in the unit of x; the models of `wellposed.models` are
        such functions. It sees images as they are, complex ones too (`ComplexDenoiser` helps).

    Returns
    -------
    callable
        ``x_hat = method(y, physics)``

    References
    ----------
    Zhang et al., *Plug-and-play image restoration with deep denoiser prior*, IEEE Trans. PAMI 44 (2022).

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity((1, 8, 8)), wp.noise.Gaussian(0.1))
    >>> y = physics(torch.ones(1, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    >>> wp.reconstruct(y, physics, dpir(lambda x, sigma: x.clamp(max=1))).max().item()
    1.0
    """
    return partial(_reconstruct_by, denoiser)


def _reconstruct_by(denoiser: DenoiserFunction, y: Tree, physics: Physics) -> Tensor:
    return scheduled(y, as_physics(physics, y), denoiser, None)
