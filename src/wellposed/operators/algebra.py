"""Operators made of operators: adjoint, gram, composition, sum, multiple, stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError, ShapeError
from wellposed.core.shapes import Field, Shape, is_nested, shape_text
from wellposed.core.tree import Tree, per_image, tree_leaves, tree_map
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
                f"{_name(outer)} @ {_name(inner)} does not fit: {_name(inner)} gives {shape_text(inner.measurement_shape)}, "
                f"{_name(outer)} expects {shape_text(outer.image_shape)}."
            )
        super().__init__(inner.image_shape, outer.measurement_shape)
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
        image_shape = _common_shape("Sum", "images", [operator.image_shape for operator in operators])
        super().__init__(image_shape, _common_shape("Sum", "measurements", [A.measurement_shape for A in operators]))
        self.operators = nn.ModuleList(operators)
        self.image_field = _common_field("Sum", [A.image_field for A in operators])
        self.measurement_field = _common_field("Sum", [A.measurement_field for A in operators])
        self.tags = frozenset.intersection(*(A.tags for A in operators)) & {"self_adjoint", "positive"}

    def _forward(self, x: Tree) -> Tree:
        return _add(operator(x) for operator in self.operators)

    def _adjoint(self, y: Tree) -> Tree:
        return _add(operator.adjoint(y) for operator in self.operators)


class Scaled(LinearOperator):
    """A multiple c A of an operator: what `c * A` returns.

    Parameters
    ----------
    operator : LinearOperator
    scale : number or Tensor, 0-dim or shape (B,)
        One factor, or one per image. A complex factor needs an operator whose images and measurements are complex.
    """

    def __init__(self, operator: LinearOperator, scale: complex | Tensor) -> None:
        super().__init__(operator.image_shape, operator.measurement_shape)
        self.operator = operator
        if isinstance(scale, Tensor):
            if scale.ndim > 1:
                raise ShapeError(f"a scale is a number or of shape (B,), got {tuple(scale.shape)}.")
            self.register_parameter_tensor("scale", scale)
        else:
            self.scale = scale
        is_complex = scale.is_complex() if isinstance(scale, Tensor) else isinstance(scale, complex)
        if is_complex and "real" in (operator.image_field, operator.measurement_field):
            raise ArgumentError(f"a complex multiple of {_name(operator)}, which is real, is not defined.")
        self.image_field = "complex" if is_complex else operator.image_field
        self.measurement_field = "complex" if is_complex else operator.measurement_field
        self.tags = frozenset() if is_complex else operator.tags & {"self_adjoint"}

    def _factor(self) -> Tensor:
        """Return the scale as a tensor; a plain number in double precision, which does not promote what it multiplies."""
        if isinstance(self.scale, Tensor):
            return self.scale
        return torch.tensor(self.scale, dtype=torch.complex128 if isinstance(self.scale, complex) else torch.float64)

    def _squared(self) -> Tensor:
        factor = self._factor()
        return (factor.conj() * factor).real

    def _reciprocal(self) -> Tensor:
        """Return the pseudo-inverse of the scale, 0 for 0."""
        factor = self._factor()
        return torch.where(factor == 0, 0, 1 / factor)

    def _forward(self, x: Tree) -> Tree:
        return _times(self._factor(), self.operator._forward(x))

    def _adjoint(self, y: Tree) -> Tree:
        return _times(self._factor().conj(), self.operator._adjoint(y))

    def _gram(self, x: Tree) -> Tree:
        return _times(self._squared(), self.operator._gram(x))

    def _norm(self) -> Tensor:
        return self._factor().abs() * self.operator._norm()

    def _pinv(self, y: Tree) -> Tree:
        return self.operator._pinv(_times(self._reciprocal(), y))

    def _prox(self, z: Tree, y: Tree, gamma: Tensor) -> Tree:
        weight = gamma * per_image(self._squared(), tree_leaves(z)[0])
        return self.operator._prox(z, _times(self._reciprocal(), y), weight)


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
        image_shape = _common_shape("Stack", "images", [operator.image_shape for operator in operators])
        super().__init__(image_shape, tuple(operator.measurement_shape for operator in operators))
        self.operators = nn.ModuleList(operators)
        self.image_field = _common_field("Stack", [A.image_field for A in operators])
        self.measurement_field = _common_field("Stack", [A.measurement_field for A in operators])

    def _forward(self, x: Tree) -> Tree:
        return tuple(operator(x) for operator in self.operators)

    def _adjoint(self, y: Tree) -> Tree:
        return _add(operator.adjoint(part) for operator, part in zip(self.operators, y, strict=True))

    def _gram(self, x: Tree) -> Tree:
        return _add(operator._gram(x) for operator in self.operators)


def _name(operator: LinearOperator) -> str:
    return type(operator).__name__


def _add(trees: Iterable[Tree]) -> Tree:
    total, *rest = trees
    for tree in rest:
        total = tree_map(torch.add, total, tree)
    return total


def _times(factor: Tensor, value: Tree) -> Tree:
    return tree_map(lambda leaf: per_image(factor, leaf) * leaf, value)


def _unify(one: Shape, other: Shape) -> Shape | None:
    """Return the shape that fits both, sizes that may vary giving way to fixed ones; None if there is none."""
    if is_nested(one) != is_nested(other) or len(one) != len(other):
        return None
    if is_nested(one):
        parts = tuple(_unify(a, b) for a, b in zip(one, other, strict=True))  # type: ignore[arg-type]
        return None if None in parts else parts  # type: ignore[return-value]
    if any(a is not None and b is not None and a != b for a, b in zip(one, other, strict=True)):
        return None
    return tuple(b if a is None else a for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def _common_shape(owner: str, role: str, shapes: Sequence[Shape]) -> Shape:
    if not shapes:
        raise ArgumentError(f"{owner} needs at least one operator.")
    common = shapes[0]
    for shape in shapes[1:]:
        unified = _unify(common, shape)
        if unified is None:
            raise ShapeError(f"{owner} needs operators with the same {role}, got {shape_text(common)} and {shape_text(shape)}.")
        common = unified
    return common


def _common_field(owner: str, fields: Sequence[Field]) -> Field:
    given = {field for field in fields if field != "any"}
    if len(given) > 1:
        raise ArgumentError(f"{owner} cannot join an operator of real tensors with one of complex tensors there.")
    return given.pop() if given else "any"
