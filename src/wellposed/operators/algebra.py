"""Operators made of operators: adjoint, gram, composition, sum, multiple, stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.shapes import Field, Shape, is_nested, shape_text
from wellposed.core.tree import Tree, per_image, tree_leaves, tree_map
from wellposed.operators._diagonal import reciprocal_or_zero
from wellposed.operators.base import LinearOperator

__all__ = ["Adjoint", "Compose", "Gram", "Scaled", "Stack", "Sum"]


class Adjoint(LinearOperator):
    """The adjoint A^H of an operator, as an operator: what `A.H` returns.

    Parameters
    ----------
    operator : LinearOperator

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> A = Identity((1, 4, 4))
    >>> A.H.H is A
    True
    """

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.measurement_shape, operator.image_shape)
        self.operator = operator
        self.image_field, self.measurement_field = operator.measurement_field, operator.image_field
        self.tags = operator.tags

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here: the norm, if the operator has one."""
        return name == "norm" and self.operator.has_closed_form(name)

    def _forward(self, x: Tree) -> Tree:
        return self.operator._adjoint(x)

    def _adjoint(self, y: Tree) -> Tree:
        return self.operator._forward(y)

    def _norm(self) -> Tensor:
        return self.operator._norm()

    @property
    def H(self) -> LinearOperator:  # noqa: N802
        """The operator itself."""
        return self.operator


class Gram(LinearOperator):
    """The normal operator A^H A: what `A.gram` returns.

    Parameters
    ----------
    operator : LinearOperator
    """

    tags = frozenset({"self_adjoint", "positive"})

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.image_shape, operator.image_shape)
        self.operator = operator
        self.image_field = self.measurement_field = operator.image_field

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here: the norm, if the operator has one."""
        return name == "norm" and self.operator.has_closed_form(name)

    def _forward(self, x: Tree) -> Tree:
        return self.operator._gram(x)

    def _adjoint(self, y: Tree) -> Tree:
        return self.operator._gram(y)

    def _norm(self) -> Tensor:
        return self.operator._norm().square()


class Compose(LinearOperator):
    """The composition A B, first B then A: what `A @ B` returns.

    Parameters
    ----------
    outer, inner : LinearOperator
        The measurements of `inner` are the images of `outer`.

    Raises
    ------
    ShapeError
        If they do not fit together.
    """

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        if _unify(outer.image_shape, inner.measurement_shape) is None:
            raise ShapeError(
                f"{_name(outer)} @ {_name(inner)} does not fit: {_name(inner)} gives "
                f"{shape_text(inner.measurement_shape)}, {_name(outer)} expects {shape_text(outer.image_shape)}."
            )
        super().__init__(
            _passed_through(inner.image_shape, inner.measurement_shape, outer.image_shape),
            _passed_through(outer.measurement_shape, outer.image_shape, inner.measurement_shape),
        )
        self.outer, self.inner = outer, inner
        between = _common_field("Compose", (inner.measurement_field, outer.image_field))
        self.image_field = between if inner.image_field == "any" else inner.image_field
        self.measurement_field = between if outer.measurement_field == "any" else outer.measurement_field

    def _forward(self, x: Tree) -> Tree:
        return self.outer(self.inner(x))

    def _adjoint(self, y: Tree) -> Tree:
        return self.inner.adjoint(self.outer.adjoint(y))

    def _gram(self, x: Tree) -> Tree:
        return self.inner.adjoint(self.outer._gram(self.inner(x)))


class Sum(LinearOperator):
    """The sum of operators with the same images and measurements: what `A + B` returns.

    Parameters
    ----------
    operators : sequence of LinearOperator
    """

    def __init__(self, operators: Sequence[LinearOperator]) -> None:
        _check_operators("Sum", operators)
        image_shape = _common_shape("Sum", "images", [operator.image_shape for operator in operators])
        super().__init__(image_shape, _common_shape("Sum", "measurements", [A.measurement_shape for A in operators]))
        self.operators = nn.ModuleList(operators)
        self.image_field = _common_field("Sum", [A.image_field for A in operators])
        self.measurement_field = _common_field("Sum", [A.measurement_field for A in operators])
        self.tags = frozenset.intersection(*(A.tags for A in operators)) & {"self_adjoint", "positive"}

    def _forward(self, x: Tree) -> Tree:
        return _add(operator(x) for operator in _members(self.operators))

    def _adjoint(self, y: Tree) -> Tree:
        return _add(operator.adjoint(y) for operator in _members(self.operators))


class Scaled(LinearOperator):
    """A multiple c A of an operator: what `c * A` returns.

    Parameters
    ----------
    operator : LinearOperator
    scale : number or Tensor, 0-dim or shape (B,)
        One factor, or one per image. A complex factor needs an operator whose images and measurements are complex.
    """

    scale: complex | Tensor

    def __init__(self, operator: LinearOperator, scale: complex | Tensor) -> None:
        super().__init__(operator.image_shape, operator.measurement_shape)
        self.operator = operator
        if isinstance(scale, Tensor):
            if scale.ndim > 1:
                raise ShapeError(f"a scale is a number or of shape (B,), got {tuple(scale.shape)}.")
            self.register_parameter_tensor("scale", scale)
        else:
            self.scale = scale
        is_complex = scale.is_complex() if isinstance(scale, Tensor) else not isinstance(scale, (int, float))
        if is_complex and "real" in (operator.image_field, operator.measurement_field):
            raise ArgumentError(f"a complex multiple of {_name(operator)}, which is real, is not defined.")
        self.image_field = "complex" if is_complex else operator.image_field
        self.measurement_field = "complex" if is_complex else operator.measurement_field
        self.tags = frozenset() if is_complex else operator.tags & {"self_adjoint"}

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here: where it is one of the operator."""
        return self.operator.has_closed_form(name)

    def _factor(self) -> Tensor:
        """Return the scale as a tensor; a plain number in double precision, which promotes nothing it multiplies."""
        scale = self.scale
        if isinstance(scale, Tensor):
            return scale
        return torch.tensor(scale, dtype=torch.float64 if isinstance(scale, (int, float)) else torch.complex128)

    def _squared(self) -> Tensor:
        factor = self._factor()
        return (factor.conj() * factor).real

    def _forward(self, x: Tree) -> Tree:
        return _times(self._factor(), self.operator._forward(x))

    def _adjoint(self, y: Tree) -> Tree:
        return _times(self._factor().conj(), self.operator._adjoint(y))

    def _gram(self, x: Tree) -> Tree:
        return _times(self._squared(), self.operator._gram(x))

    def _norm(self) -> Tensor:
        return self._factor().abs() * self.operator._norm()

    def _pinv(self, y: Tree) -> Tree:
        if not self.has_closed_form("pinv"):
            return super()._pinv(y)
        return self.operator._pinv(_times(reciprocal_or_zero(self._factor()), y))

    def _prox(self, z: Tree, y: Tree, gamma: Tensor) -> Tree:
        if not self.has_closed_form("prox"):
            return super()._prox(z, y, gamma)
        weight = gamma * per_image(self._squared(), tree_leaves(z)[0])
        return self.operator._prox(z, _times(reciprocal_or_zero(self._factor()), y), weight)


class Stack(LinearOperator):
    """Several measurements of one image: y = (A_1 x, ..., A_n x), a tuple.

    Parameters
    ----------
    operators : sequence of LinearOperator
        With the same images.

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> A = Stack((Identity((1, 4, 4)), 2 * Identity((1, 4, 4))))
    >>> one, two = A(torch.ones(1, 1, 4, 4))
    >>> A.adjoint((one, two)).mean().item()
    5.0
    """

    def __init__(self, operators: Sequence[LinearOperator]) -> None:
        _check_operators("Stack", operators)
        image_shape = _common_shape("Stack", "images", [operator.image_shape for operator in operators])
        super().__init__(
            image_shape, tuple(_passed_through(A.measurement_shape, A.image_shape, image_shape) for A in operators)
        )
        self.operators = nn.ModuleList(operators)
        self.image_field = _common_field("Stack", [A.image_field for A in operators])
        self.measurement_field = _common_field("Stack", [A.measurement_field for A in operators])

    def _forward(self, x: Tree) -> Tree:
        return tuple(operator(x) for operator in _members(self.operators))

    def _adjoint(self, y: Tree) -> Tree:
        return _add(operator.adjoint(part) for operator, part in zip(_members(self.operators), y, strict=True))

    def _gram(self, x: Tree) -> Tree:
        return _add(operator._gram(x) for operator in _members(self.operators))


def _name(operator: LinearOperator) -> str:
    return type(operator).__name__


def _members(operators: nn.ModuleList) -> list[LinearOperator]:
    return cast("list[LinearOperator]", list(operators))


def _check_operators(owner: str, operators: Any) -> None:
    if not isinstance(operators, (tuple, list)) or not all(isinstance(A, LinearOperator) for A in operators):
        raise ArgumentError(
            f"{owner} expects a tuple of linear operators, such as {owner}((A, B)); got {_listed(operators)}."
        )


def _listed(value: Any) -> str:
    if not isinstance(value, (tuple, list)):
        return type(value).__name__
    return "(" + ", ".join(type(part).__name__ for part in value) + ")"


def _add(trees: Iterable[Tree]) -> Tree:
    total, *rest = trees
    for tree in rest:
        total = tree_map(torch.add, total, tree)
    return total


def _times(factor: Tensor, value: Tree) -> Tree:
    return tree_map(lambda leaf: per_image(factor, leaf) * leaf, value)


def _unify(one: Shape, other: Shape) -> Shape | None:
    """Return the shape that fits both, sizes that may vary giving way to fixed ones; None if there is none."""
    if len(one) != len(other):
        return None
    if is_nested(one) and is_nested(other):
        parts = tuple(_unify(a, b) for a, b in zip(one, other, strict=True))
        return None if None in parts else parts
    if (
        is_nested(one)
        or is_nested(other)
        or any(a is not None and b is not None and a != b for a, b in zip(one, other, strict=True))
    ):
        return None
    return tuple(b if a is None else a for a, b in zip(one, other, strict=True))


def _passed_through(here: Shape, there: Shape, known: Shape) -> Shape:
    """Return the shape on one side of an operator, whose free sizes are those that are known on the other side."""
    if is_nested(here) or len(here) != len(there):
        return here
    return tuple(
        full if size is None and other is None else size for size, other, full in zip(here, there, known, strict=True)
    )


def _common_shape(owner: str, role: str, shapes: Sequence[Shape]) -> Shape:
    if not shapes:
        raise ArgumentError(f"{owner} needs at least one operator.")
    common = shapes[0]
    for shape in shapes[1:]:
        unified = _unify(common, shape)
        if unified is None:
            raise ShapeError(
                f"{owner} needs operators with the same {role}, got {shape_text(common)} and {shape_text(shape)}."
            )
        common = unified
    return common


def _common_field(owner: str, fields: Sequence[Field]) -> Field:
    given = {field for field in fields if field != "any"}
    if len(given) > 1:
        raise ArgumentError(f"{owner} cannot join an operator of real tensors with one of complex tensors there.")
    return given.pop() if given else "any"
