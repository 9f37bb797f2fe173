"""Physics: an operator and a noise model, nothing more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.parametrised import Parametrised
from wellposed.core.shapes import Shape
from wellposed.core.tree import Tree
from wellposed.noise import Gaussian, NoiseModel, NoNoise, Poisson, PoissonGaussian
from wellposed.operators import LinearOperator, Operator
from wellposed.operators._foreign import ForeignOperator
from wellposed.solvers import SOLVERS, LinearSolver

__all__ = ["Physics", "as_physics"]


class Physics(Parametrised):
    r"""How measurements come about.

    .. math:: y = N(A(x))

    Parameters
    ----------
    operator : Operator
        The deterministic part A.
    noise : NoiseModel, optional
        The random part N; none by default.

    Notes
    -----
    For models written for DeepInverse, `A`, `A_adjoint`, `A_vjp`, `A_dagger`, `A_adjoint_A`, `A_A_adjoint`, `prox_l2`,
    `noise_model` and `img_size` answer under the names and with the meaning that they have there.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity((1, 4, 4)), wp.noise.Gaussian(0.1))
    >>> physics(torch.zeros(2, 1, 4, 4), generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 4, 4])
    """

    def __init__(self, operator: Operator, noise: NoiseModel | None = None) -> None:
        super().__init__()
        if not isinstance(operator, Operator):
            raise ArgumentError(f"Physics expects an operator, got {type(operator).__name__}.")
        if noise is not None and not isinstance(noise, NoiseModel):
            raise ArgumentError(f"Physics expects a noise model, got {type(noise).__name__}.")
        self.operator = operator
        self.noise = NoNoise() if noise is None else noise

    def forward(self, x: Tree, *, generator: torch.Generator | None = None, **params: Tensor | float) -> Tree:
        """Draw measurements of an image.

        Parameters
        ----------
        x : Tensor, shape (B, *image_shape)
        generator : torch.Generator, optional
            Of the noise; torch's own by default, so that `torch.manual_seed` is honoured.
        **params : Tensor or float
            Parameters of the operator or of the noise replaced for this call: `physics(x, mask=m, sigma=0.1)`.

        Returns
        -------
        Tensor or tuple of Tensor, shape (B, *measurement_shape)

        Raises
        ------
        KeywordError
            If a parameter is unknown.
        ShapeError, DTypeError
            If the image does not fit.
        """
        if params:
            return self.with_params(**params)(x, generator=generator)
        return self.noise(self.operator(x), generator=generator)

    @property
    def linear_operator(self) -> LinearOperator:
        """The operator, if it is linear.

        Raises
        ------
        UnsupportedError
            If it is not: what needs an adjoint asks here.
        """
        if not isinstance(self.operator, LinearOperator):
            raise UnsupportedError(
                f"{type(self.operator).__name__} is not linear: it has no adjoint, which this needs."
            )
        return self.operator

    @property
    def image_shape(self) -> Shape:
        """Shape of an image without the batch axis."""
        return self.operator.image_shape

    @property
    def measurement_shape(self) -> Shape:
        """Shape of the measurements without the batch axis."""
        return self.operator.measurement_shape

    @property
    def img_size(self) -> Shape:
        """The DeepInverse name of `image_shape`."""
        return self.operator.image_shape

    @property
    def noise_model(self) -> NoiseModel:
        """The DeepInverse name of `noise`."""
        return self.noise

    def A(self, x: Tree, **params: Tensor | float) -> Tree:  # noqa: N802
        """Return noise-free measurements."""
        return self.operator(x, **params)

    def A_adjoint(self, y: Tree, **params: Tensor | float) -> Tensor:  # noqa: N802
        """Return the adjoint of the operator applied to measurements."""
        return cast("Tensor", self.linear_operator.adjoint(y, **params))

    def A_A_adjoint(self, y: Tree, **params: Tensor | float) -> Tree:  # noqa: N802
        """Return the operator applied to the adjoint of measurements."""
        operator = self.linear_operator.with_params(**params)
        return operator(operator.adjoint(y))

    def A_vjp(self, x: Tree, v: Tree, **params: Tensor | float) -> Tensor:  # noqa: ARG002, N802
        """Return the derivative of the operator at x, transposed, applied to v: that of a linear one is its adjoint."""
        return self.A_adjoint(v, **params)

    def A_dagger(self, y: Tree, **options: Any) -> Tensor:  # noqa: N802
        """Return the pseudo-inverse of the operator applied to measurements.

        Besides parameters it takes `solver` ("CG", "lsqr", "minres", "BiCGStab" or one of `wellposed.solvers`),
        `max_iter` and `tol`; without them the operator chooses.
        """
        solver, params = _solver_and_params(options)
        return cast("Tensor", self.linear_operator.with_params(**params).pinv(y, solver=solver))

    def A_adjoint_A(self, x: Tensor, **params: Tensor | float) -> Tensor:  # noqa: N802
        """Return the normal operator applied to an image."""
        return cast("Tensor", self.linear_operator.with_params(**params).gram(x))

    def prox_l2(self, z: Tensor, y: Tree, gamma: float | Tensor, **options: Any) -> Tensor:
        """Return the minimiser of gamma / 2 ||A x - y||^2 + 1/2 ||x - z||^2 over x; options as in `A_dagger`.

        A gamma of shape (B, 1, ..., 1) is one number per image, as in DeepInverse.
        """
        solver, params = _solver_and_params(options)
        if isinstance(gamma, Tensor) and gamma.ndim > 1 and gamma.numel() == gamma.shape[0]:
            gamma = gamma.flatten()
        return cast("Tensor", self.linear_operator.with_params(**params).prox(z, y, gamma, solver=solver))


def _solver_and_params(options: dict[str, Any]) -> tuple[LinearSolver | None, dict[str, Any]]:
    """Split what DeepInverse's names take: how to solve, and physical parameters."""
    params = {name: value for name, value in options.items() if name not in ("solver", "max_iter", "tol", "verbose")}
    if not options.keys() & {"solver", "max_iter", "tol"}:
        return None, params
    solver: Any = options.get("solver") or "CG"
    if isinstance(solver, str):
        by_name = {name.lower(): kind for name, kind in SOLVERS.items()}
        solver = by_name[check_name("solver", solver.lower(), by_name)]()
    settings = {"max_steps": options.get("max_iter"), "tolerance": options.get("tol")}
    return replace(solver, **{name: value for name, value in settings.items() if value is not None}), params


def as_physics(physics: Any, y: Tree) -> Physics:
    """Return a physics of ours: `physics` itself, or one around the methods `A` and `A_adjoint` of another library's.

    Parameters
    ----------
    physics : Physics, or an object with methods `A` and `A_adjoint` and perhaps a `noise_model` with `sigma` and `gain`
    y : Tensor, shape (B, ...)
        Its measurements, which tell the shapes.

    Raises
    ------
    ArgumentError
        If it is neither.
    """
    if isinstance(physics, Physics):
        return physics
    if not (callable(getattr(physics, "A", None)) and callable(getattr(physics, "A_adjoint", None))):
        raise ArgumentError(
            f"expected a wellposed.Physics, or an object with A and A_adjoint, got {type(physics).__name__}."
        )
    if not isinstance(y, Tensor):
        raise ArgumentError(f"measurements of a {type(physics).__name__} must be one tensor, got {type(y).__name__}.")
    image_shape = tuple(physics.A_adjoint(y).shape[1:])
    operator = ForeignOperator(physics, image_shape, tuple(y.shape[1:])).to(y.device, y.dtype.to_real())
    return Physics(operator, _foreign_noise(getattr(physics, "noise_model", None)))


def _foreign_noise(noise: Any) -> NoiseModel:
    """Return the model with the same `sigma` and `gain`."""
    if isinstance(noise, NoiseModel):
        return noise
    sigma, gain = getattr(noise, "sigma", None), getattr(noise, "gain", None)
    if sigma is None:
        return NoNoise() if gain is None else Poisson(gain)
    return Gaussian(sigma) if gain is None else PoissonGaussian(gain, sigma)
