"""The two abstract bases: every operator checks its input here, once, and asks the subclass for the formula only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError, DeviceError, DTypeError, ShapeError
from wellposed.core.parametrised import Parametrised
from wellposed.core.precision import in_own_precision
from wellposed.core.rng import normal_like
from wellposed.core.shapes import Field, Shape, as_shape, check_tree, is_nested
from wellposed.core.tree import Tree, inner, norm, per_image, tree_leaves, tree_map
from wellposed.solvers import CG, LSMR, LinearSolver, largest_eigenvalue, least_squares

if TYPE_CHECKING:
    from wellposed.operators.algebra import Compose, Gram, Scaled, Sum

__all__ = ["LinearOperator", "Operator"]

_COLUMNS_AT_ONCE = 256


class Operator(Parametrised, ABC):
    """A deterministic map from images to measurements, `y = A(x)`, in its own precision, also under autocast.

    Subclasses implement `_forward`, store each constructor argument under its own name, and register tensors with
    `register_parameter_tensor`.

    Parameters
    ----------
    image_shape, measurement_shape : tuple
        Shapes without the batch axis; None where any size will do; a tuple of shapes for a tuple of tensors.
    """

    _marker: Tensor
    image_field: Field = "any"
    """The numbers that images hold: "real", "complex", or "any", in which case measurements are of the same kind."""
    measurement_field: Field = "any"

    def __init__(self, image_shape: Shape, measurement_shape: Shape) -> None:
        super().__init__()
        self.image_shape = as_shape(type(self).__name__, "image", image_shape)
        self.measurement_shape = as_shape(type(self).__name__, "measurement", measurement_shape)
        self.register_buffer("_marker", torch.empty(0), persistent=False)

    @abstractmethod
    def _forward(self, x: Any) -> Any:
        """Return A(x) for a checked image."""

    @in_own_precision
    def forward(self, x: Tree, **params: Tensor | float) -> Tree:
        """Return the measurements of an image, with some physical parameters replaced for this call if named.

        Parameters
        ----------
        x : Tensor, shape (B, *image_shape)
        **params : Tensor or float
            As in `with_params`.

        Raises
        ------
        ShapeError, DTypeError, DeviceError
            If the image does not fit the operator.
        """
        if params:
            return self.with_params(**params)(x)
        return self._forward(self._checked_image(x))

    @property
    def parameter_batch(self) -> int:
        """The number of images that the parameters are for; 1 when every image shares them.

        Raises
        ------
        ShapeError
            If two parameters are for different numbers of images.
        """
        batches = sorted({value.shape[0] for value in self.params.values() if value.ndim} | {1})
        if len(batches) > 2:
            raise ShapeError(
                f"{type(self).__name__} has parameters for {' and for '.join(map(str, batches[1:]))} images: "
                "give each of them one value, or as many as the others have."
            )
        return batches[-1]

    @property
    def dtype(self) -> torch.dtype:
        """The real dtype of the parameters, or where there are none that given by `.to(dtype)`."""
        return real_dtype(self._representative().dtype)

    @property
    def device(self) -> torch.device:
        """The device of the parameters, or where there are none that given by `.to(device)`."""
        return self._representative().device

    def _representative(self) -> Tensor:
        """Return a tensor that `.to()` has moved as it moved this operator: a parameter, else a marker."""
        for value in self.params.values():
            return value
        innermost = [module for module in self.modules() if isinstance(module, Operator)][-1]
        return innermost._marker

    def zero_image(self, batch: int | None = None) -> Tree:
        """Return the image that is zero, with the parameters' batch, dtype and device; sizes that may vary are 1."""
        return self._zeros(self.image_shape, self.image_field, batch)

    def zero_measurement(self, batch: int | None = None) -> Tree:
        """Return the measurements that are zero; the counterpart of `zero_image`."""
        return self._zeros(self.measurement_shape, self.measurement_field, batch)

    def _zeros(self, shape: Shape, field: Field, batch: int | None) -> Tree:
        if is_nested(shape):
            return tuple(self._zeros(part, field, batch) for part in shape)
        sizes = [1 if size is None else size for size in cast("tuple[int | None, ...]", shape)]
        dtype = self.dtype.to_complex() if field == "complex" else self.dtype
        return torch.zeros(batch or self.parameter_batch, *sizes, dtype=dtype, device=self.device)

    def _checked_image(self, x: Tree) -> Tree:
        return self._checked("images", x, self.image_shape, self.image_field)

    def _checked(self, role: str, value: Tree, shape: Shape, field: Field) -> Tree:
        name = type(self).__name__
        check_tree(name, role, value, shape, field)
        leaves = tree_leaves(value)
        batch = leaves[0].shape[0]
        if any(leaf.shape[0] != batch for leaf in leaves):
            raise ShapeError(f"{name} expects {role} of one batch, got {[leaf.shape[0] for leaf in leaves]} images.")
        for parameter, tensor in self.params.items():
            for leaf in leaves:
                self._check_meeting(parameter, tensor, role, leaf)
        if self.parameter_batch not in (1, batch):
            raise ShapeError(f"{name} has parameters for {self.parameter_batch} images and got a batch of {batch}.")
        return value

    def _check_meeting(self, parameter: str, tensor: Tensor, role: str, leaf: Tensor) -> None:
        name = type(self).__name__
        if real_dtype(tensor.dtype) != real_dtype(leaf.dtype):
            raise DTypeError(
                f"{name} has a {tensor.dtype} {parameter} and got {leaf.dtype} {role}: "
                f"convert the operator with .to({real_dtype(leaf.dtype)}), or the {role}."
            )
        if tensor.device != leaf.device:
            raise DeviceError(
                f"{name} is on {tensor.device} and got {role} on {leaf.device}: move one with .to(device)."
            )


class LinearOperator(Operator):
    """A linear map with its exact adjoint, and what follows from the two.

    Subclasses implement `_forward` and, unless autograd shall derive it, `_adjoint`. Where a closed form exists they
    also implement `_gram`, `_norm`, `_pinv` or `_prox`; what is lacking is computed here.
    """

    tags: frozenset[str] = frozenset()
    """Declared structure: "self_adjoint", "positive" (semi-definite), "unitary", "projection"."""

    @abstractmethod
    def _forward(self, x: Any) -> Any: ...

    def _adjoint(self, y: Any) -> Any:
        """Transpose the forward map by autograd: right for any linear code that torch can differentiate."""
        image = self.zero_image(batch=tree_leaves(y)[0].shape[0])
        if self.image_field == "any":
            image = tree_map(lambda leaf: leaf.to(tree_leaves(y)[0].dtype), image)
        pull_back = torch.func.vjp(self._forward, image)[1]
        return pull_back(y)[0]

    def _gram(self, x: Any) -> Any:
        return self._adjoint(self._forward(x))

    def _norm(self) -> Tensor:
        return largest_eigenvalue(self._gram, self.zero_image()).clamp_min(0).sqrt()

    def _pinv(self, y: Any) -> Any:
        return least_squares(self._forward, self._adjoint, y, solver=LSMR(), gram=self._gram).value

    def _prox(self, z: Any, y: Any, gamma: Tensor) -> Any:
        return least_squares(
            self._forward, self._adjoint, y, z=z, gamma=gamma.flatten(), solver=CG(), gram=self._gram
        ).value

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here, not an iteration."""
        return getattr(type(self), f"_{name}") is not getattr(LinearOperator, f"_{name}")

    @in_own_precision
    def adjoint(self, y: Tree, **params: Tensor | float) -> Tree:
        """Return A^H y, the exact (conjugate) transpose of the discretised forward map.

        Parameters
        ----------
        y : Tensor or tuple, shape (B, *measurement_shape)
        **params : Tensor or float
            Physical parameters replaced for this call, as in `with_params`.

        Returns
        -------
        Tensor, shape (B, *image_shape)
        """
        if params:
            return self.with_params(**params).adjoint(y)
        return self._adjoint(self._checked_measurement(y))

    def _checked_measurement(self, y: Tree) -> Tree:
        return self._checked("measurements", y, self.measurement_shape, self.measurement_field)

    @property
    def H(self) -> LinearOperator:  # noqa: N802
        """The adjoint as an operator; `A.H.H is A`."""
        from wellposed.operators.algebra import Adjoint

        return Adjoint(self)

    @property
    def gram(self) -> Gram:
        """The normal operator A^H A, self-adjoint and positive semi-definite."""
        from wellposed.operators.algebra import Gram

        return Gram(self)

    @torch.no_grad()
    @in_own_precision
    def norm(self) -> Tensor:
        """Return the operator norm (largest singular value), one per image: shape (1,), or (B,) for B parameters.

        A closed form where there is one, else Lanczos on A^H A from a fixed start: never more than the norm, and within
        5e-4 of it. Computed once for as long as the parameters stay the same tensors.
        """
        return self._kept("norm", tuple(self.params.values()), self._norm)

    @in_own_precision
    def pinv(self, y: Tree, *, solver: LinearSolver | None = None) -> Tree:
        r"""Return the image of least norm among those that minimise ||A x - y||.

        Parameters
        ----------
        y : Tensor or tuple, shape (B, *measurement_shape)
        solver : optional
            A solver of `wellposed.solvers`; by default the closed form, or LSMR where there is none.

        Raises
        ------
        SolverError
            If the iteration does not converge: the operator is ill-conditioned, and `prox` or a regularised
            reconstruction is the better question.
        """
        y = self._checked_measurement(y)
        if solver is None:
            return self._pinv(y)
        return least_squares(self._forward, self._adjoint, y, solver=solver, gram=self._gram).value

    @in_own_precision
    def prox(self, z: Tree, y: Tree, gamma: float | Tensor, *, solver: LinearSolver | None = None) -> Tree:
        r"""Return the minimiser of gamma / 2 ||A x - y||^2 + 1/2 ||x - z||^2 over x.

        Parameters
        ----------
        z : Tensor, shape (B, *image_shape)
        y : Tensor or tuple, shape (B, *measurement_shape)
        gamma : float or Tensor, shape (B,)
            Positive weight of the data.
        solver : optional
            A solver of `wellposed.solvers`; by default the closed form, or CG where there is none.

        Raises
        ------
        ArgumentError
            If gamma is not positive.
        ShapeError
            If z, y and gamma are not for the same images.
        SolverError
            If the iteration does not converge.
        """
        z, y = self._checked_image(z), self._checked_measurement(y)
        like, batch = tree_leaves(z)[0], tree_leaves(y)[0].shape[0]
        if like.shape[0] != batch:
            raise ShapeError(
                f"{type(self).__name__}.prox expects as many images as measurements, got {like.shape[0]} and {batch}."
            )
        if isinstance(gamma, (int, float)) and not gamma > 0:
            raise ArgumentError(f"{type(self).__name__}.prox expects a positive gamma, got {gamma}.")
        weight = torch.as_tensor(gamma, dtype=real_dtype(like.dtype), device=like.device)
        if weight.ndim > 1 or (weight.ndim == 1 and weight.shape[0] not in (1, like.shape[0])):
            raise ShapeError(
                f"{type(self).__name__}.prox expects gamma to be a number or of shape ({like.shape[0]},), "
                f"got {tuple(weight.shape)}."
            )
        if solver is None:
            return self._prox(z, y, per_image(weight, like))
        return least_squares(self._forward, self._adjoint, y, z=z, gamma=weight, solver=solver, gram=self._gram).value

    @torch.no_grad()
    @in_own_precision
    def to_matrix(self) -> Tensor:
        """Return the dense matrix, shape (P, m, n) with P the batch of the parameters; for tiny sizes only.

        Images and measurements are flattened in C order, the parts of a tuple one after the other.
        """
        leaves = tree_leaves(self.zero_image(batch=1))
        blocks = []
        for index, leaf in enumerate(leaves):
            units = torch.eye(leaf.numel(), dtype=leaf.dtype, device=leaf.device).view(-1, *leaf.shape[1:])
            blocks += [self._columns(index, part) for part in units.split(_COLUMNS_AT_ONCE)]
        return torch.cat(blocks, dim=-1)

    def _columns(self, index: int, units: Tensor) -> Tensor:
        """Return the columns (P, m, k) of the dense matrix for k unit images in one part of the image."""

        def measure(images: Tensor) -> Tensor:
            image = _replace_leaf(self.zero_image(batch=len(images)), index, images)
            return torch.cat([part.flatten(1) for part in tree_leaves(self._forward(image))], dim=1)

        batch = self.parameter_batch
        if batch == 1:
            return measure(units).mT[None]
        return torch.stack([measure(unit.expand(batch, *unit.shape)) for unit in units], dim=-1)

    @torch.no_grad()
    def adjoint_error(self, *, batch: int = 3, seed: int = 0) -> float:
        """Return the largest |<A x, y> - <x, A^H y>| / (||A x|| ||y||) over random images.

        An exact pair gives rounding. Where images are real and measurements complex, the inner products are compared in
        their real parts.
        """
        generator = torch.Generator().manual_seed(seed)
        batch = self.parameter_batch if self.parameter_batch > 1 else batch
        x = tree_map(lambda leaf: normal_like(leaf, generator), self.zero_image(batch))
        y = tree_map(lambda leaf: normal_like(leaf, generator), self.zero_measurement(batch))
        forward, adjoint = self(x), self.adjoint(y)
        mismatch = (inner(forward, y).real - inner(x, adjoint).real).abs()
        scale = (norm(forward) * norm(y)).clamp_min(torch.finfo(self.dtype).tiny)
        return float((mismatch / scale).max())

    def __matmul__(self, other: LinearOperator) -> Compose:
        from wellposed.operators.algebra import Compose

        if not isinstance(other, LinearOperator):
            return NotImplemented
        return Compose(self, other)

    def __add__(self, other: LinearOperator) -> Sum:
        from wellposed.operators.algebra import Sum

        if not isinstance(other, LinearOperator):
            return NotImplemented
        return Sum((self, other))

    def __sub__(self, other: LinearOperator) -> Sum:
        return self + (-other)

    def __mul__(self, scale: complex | Tensor) -> Scaled:
        from wellposed.operators.algebra import Scaled

        if not isinstance(scale, (int, float, complex, Tensor)):
            return NotImplemented
        return Scaled(self, scale)

    __rmul__ = __mul__

    def __truediv__(self, scale: complex | Tensor) -> Scaled:
        return self * (1 / scale)

    def __neg__(self) -> Scaled:
        return self * -1.0


def _replace_leaf(tree: Tree, index: int, value: Tensor) -> Tree:
    leaves = iter(enumerate(tree_leaves(tree)))

    def pick(leaf: Tensor) -> Tensor:
        position, _ = next(leaves)
        return value if position == index else leaf

    return tree_map(pick, tree)
