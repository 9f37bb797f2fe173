"""The examination of an operator: whether its adjoint is the transpose and its gradients are right, and its norm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.autograd import gradcheck

from wellposed.core.shapes import Shape
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.operators import LinearOperator
from wellposed.verbs._linear_maps import error_text, map_problem, random_like

__all__ = ["ADJOINT_LIMITS", "Report", "examine"]

ADJOINT_LIMITS = {torch.float32: 1e-5, torch.float64: 1e-12}
"""The largest adjoint error that is rounding, by precision."""

_ORDER_OF_SUMS = 1e-10
"""How far two gradients at the same place may differ: several threads may add in any order."""

Result = TypeVar("Result")
Forward: TypeAlias = Callable[..., Tensor]


@dataclass(frozen=True)
class Report:
    r"""What an examination found; an entry is None where it could not be measured.

    Parameters
    ----------
    name : str
    image_shape, measurement_shape : tuple
        Without the batch axis.
    norm : float or None
        The largest singular value, over all images that the parameters are for; not sought where the adjoint is wrong.
    adjoint_error_float32, adjoint_error_float64 : float or None
        :math:`|\langle A x, y\rangle - \langle x, A^H y\rangle| / (\|A x\| \|y\|)`, the largest of random images.
    gradients : tuple of str
        With respect to what the gradients are right: "x" and the differentiable parameters by name.
    problems : tuple of str
        One sentence each; empty for a healthy operator.
    """

    name: str
    image_shape: Shape
    measurement_shape: Shape
    norm: float | None
    adjoint_error_float32: float | None
    adjoint_error_float64: float | None
    gradients: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def examine(operator: LinearOperator, *, name: str | None = None, seed: int = 0) -> Report:
    r"""Examine an operator on random images and parameters as they are; it stays as it was.

    Both maps must be linear, return what the operator's shapes say, and leave their argument as it was; where one does
    not, that is the only problem in the report. The adjoint error of an exact pair is rounding: at most 1e-5 in single
    and 1e-12 in double precision. Gradients are compared with finite differences along random directions, in double
    precision.

    Parameters
    ----------
    operator : LinearOperator
        Sizes that it leaves open are taken to be 1.
    name : str, optional
        For the report; the class by default.
    seed : int
        Of the random images.

    Returns
    -------
    Report
        Whatever the operator does: an error inside it is a problem in the report.

    Examples
    --------
    >>> from wellposed.operators import Crop
    >>> report = examine(Crop((1, 6, 6), (1, 2), (3, 3)))
    >>> report.healthy, report.norm, report.gradients
    (True, 1.0, ('x',))
    """
    examination = _Examination(operator, seed)
    works = examination.maps_work()
    single, double = (examination.adjoint_error(dtype) if works else None for dtype in ADJOINT_LIMITS)
    has_norm = single is not None and single <= ADJOINT_LIMITS[torch.float32]
    return Report(
        name=name or type(operator).__name__,
        image_shape=operator.image_shape,
        measurement_shape=operator.measurement_shape,
        norm=examination.norm() if has_norm else None,
        adjoint_error_float32=single,
        adjoint_error_float64=double,
        gradients=examination.gradients() if works else (),
        problems=tuple(examination.problems),
    )


class _Examination:
    """Runs the checks one after the other and collects what goes wrong."""

    def __init__(self, operator: LinearOperator, seed: int) -> None:
        self.operator = operator
        self.seed = seed
        self.problems: list[str] = []

    def maps_work(self) -> bool:
        for dtype in ADJOINT_LIMITS:
            operator = self._attempt(f"a copy in {_name(dtype)}", partial(self._in_precision, dtype))
            problem = None if operator is None else map_problem(operator, self.seed)
            if problem is not None:
                self.problems.append(f"in {_name(dtype)} {problem}")
            if self.problems:
                return False
        return True

    def norm(self) -> float | None:
        norm = self._attempt("norm()", lambda: float(self.operator.norm().max()))
        if norm is not None and not 0 <= norm < float("inf"):
            self.problems.append(f"norm() is {norm}, and a norm is finite and not negative.")
        return norm

    def adjoint_error(self, dtype: torch.dtype) -> float | None:
        precision = _name(dtype)
        error = self._attempt(
            f"adjoint_error() in {precision}", lambda: self._in_precision(dtype).adjoint_error(seed=self.seed)
        )
        limit = ADJOINT_LIMITS[dtype]
        if error is not None and not error <= limit:
            self.problems.append(
                f"adjoint error {error:.1e} in {precision}, above {limit:.0e}: the adjoint is not the transpose of the "
                "forward map."
            )
        return error

    def gradients(self) -> tuple[str, ...]:
        operator = self._attempt("a copy in float64", lambda: self._in_precision(torch.float64))
        if operator is None:
            return ()
        generator = torch.Generator().manual_seed(self.seed)
        x = random_like(operator.zero_image(), generator)
        right = ["x"] if self._gradient_is_right("x", *_of_image(operator, x), optional=False) else []
        right += [
            name
            for name, value in operator.params.items()
            if self._gradient_is_right(name, *_of_parameter(operator, x, name, value), optional=True)
        ]
        return tuple(right)

    def _gradient_is_right(self, name: str, forward: Forward, leaves: list[Tensor], *, optional: bool) -> bool:
        inputs = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        output = self._attempt(f"the forward map with a gradient in {name}", lambda: forward(*inputs))
        if output is None:
            return False
        if not output.requires_grad:
            if not optional:
                self.problems.append(
                    f"the measurements carry no gradient in {name}: compute them with torch, or see FromFunctions."
                )
            return False
        right = self._attempt(
            f"the gradient in {name}",
            lambda: gradcheck(
                forward,
                inputs,
                fast_mode=True,
                raise_exception=False,
                check_undefined_grad=False,
                nondet_tol=_ORDER_OF_SUMS,
            ),
        )
        if right is False:
            self.problems.append(f"the gradient in {name} differs from finite differences.")
        return bool(right)

    def _in_precision(self, dtype: torch.dtype) -> LinearOperator:
        return copy.deepcopy(self.operator).to(dtype)

    def _attempt(self, what: str, function: Callable[[], Result]) -> Result | None:
        """Return what `function` returns; note the problem where it raises, as an operator under examination may."""
        try:
            return function()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self.problems.append(f"{what} raised {error_text(error)}")
            return None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _of_image(operator: LinearOperator, x: Tree) -> tuple[Forward, list[Tensor]]:
    def forward(*leaves: Tensor) -> Tensor:
        rest = iter(leaves)
        return _flat(operator(tree_map(lambda _: next(rest), x)))

    return forward, tree_leaves(x)


def _of_parameter(operator: LinearOperator, x: Tree, name: str, value: Tensor) -> tuple[Forward, list[Tensor]]:
    def forward(parameter: Tensor) -> Tensor:
        return _flat(operator(x, **{name: parameter}))

    return forward, [value]


def _flat(y: Tree) -> Tensor:
    return torch.cat([leaf.flatten() for leaf in tree_leaves(y)])
