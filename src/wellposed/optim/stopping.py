"""When to stop an image, beyond the tolerance of a method: rules that combine with `&` and `|`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import norm, tree_map
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.problem import RegularisedProblem
from wellposed.optim.settling import relative_change

__all__ = ["Discrepancy", "ObjectiveChange", "RelativeChange", "StoppingRule"]


class StoppingRule(ABC):
    """Tells after each step which images are done; handed to `wellposed.solvers.run` as `stop`.

    ``one & other`` stops an image when both rules hold at the same step, ``one | other`` when either does.
    """

    @abstractmethod
    def __call__(self, old: Any, new: Any) -> Tensor:
        """Return which images are done after the step from one state to the next, shape (B,), bool."""

    def __and__(self, other: StoppingRule) -> StoppingRule:
        """Return the rule that holds where both do."""
        return _Both(self, other)

    def __or__(self, other: StoppingRule) -> StoppingRule:
        """Return the rule that holds where one of the two does."""
        return _Either(self, other)


@dataclass(frozen=True)
class RelativeChange(StoppingRule):
    """Stop an image that changes in a step by less than this, relative to its norm.

    Parameters
    ----------
    tolerance : float
    """

    tolerance: float

    def __post_init__(self) -> None:
        _check_tolerance(self, self.tolerance)

    def __call__(self, old: Any, new: Any) -> Tensor:
        """Return which images are done."""
        return relative_change(new.x, old.x) <= self.tolerance


@dataclass(frozen=True)
class ObjectiveChange(StoppingRule):
    """Stop an image whose objective changes in a step by less than this, relative to its size.

    Parameters
    ----------
    problem : RegularisedProblem
    tolerance : float
    """

    problem: RegularisedProblem
    tolerance: float

    def __post_init__(self) -> None:
        _check_tolerance(self, self.tolerance)

    def __call__(self, old: Any, new: Any) -> Tensor:
        """Return which images are done."""
        before, after = self.problem.value(old.x), self.problem.value(new.x)
        return (after - before).abs() <= self.tolerance * after.abs()


@dataclass(frozen=True)
class Discrepancy(StoppingRule):
    r"""Stop an image that explains its measurements as well as the noise lets it (Morozov's principle).

    .. math:: \|A x - y\| \le r

    Parameters
    ----------
    data : LeastSquares
    radius : Tensor or float, shape (B,) or (1,)
        The norm of the noise, for m numbers of deviation s about :math:`s \sqrt m`.
    """

    data: LeastSquares
    radius: Tensor | float

    def __call__(self, old: Any, new: Any) -> Tensor:  # noqa: ARG002
        """Return which images are done."""
        misfit = norm(tree_map(torch.sub, self.data.operator(new.x), self.data.y))
        return misfit <= torch.as_tensor(self.radius).to(misfit)


@dataclass(frozen=True)
class _Both(StoppingRule):
    one: StoppingRule
    other: StoppingRule

    def __call__(self, old: Any, new: Any) -> Tensor:
        return self.one(old, new) & self.other(old, new)


@dataclass(frozen=True)
class _Either(StoppingRule):
    one: StoppingRule
    other: StoppingRule

    def __call__(self, old: Any, new: Any) -> Tensor:
        return self.one(old, new) | self.other(old, new)


def _check_tolerance(rule: StoppingRule, tolerance: float) -> None:
    if not tolerance >= 0:
        raise ArgumentError(f"{type(rule).__name__} expects a tolerance of at least 0, got {tolerance}.")
