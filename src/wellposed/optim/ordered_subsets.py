"""Views in turn: a tomograph cut into subsets, for methods such as OSEM that pass over them one by one."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.operators import LinearOperator, Stack

__all__ = ["ordered_subsets"]


def ordered_subsets(operator: LinearOperator, y: Tensor, count: int) -> tuple[Stack, tuple[Tensor, ...]]:
    """Cut a tomograph and its sinograms into subsets of views: every so many angles, so that each sees all around.

    Parameters
    ----------
    operator : LinearOperator
        With `angles`, such as `ParallelBeam2D`.
    y : Tensor, shape (B, C, angles, ...)
        Sinograms, or anything of their shape.
    count : int
        How many subsets; at most one for each angle.

    Returns
    -------
    Stack
        The subsets of the operator.
    tuple of Tensor, each of shape (B, C, angles of the subset, ...)
        Those of the sinograms.

    Raises
    ------
    UnsupportedError
        If the operator has no angles.
    ArgumentError
        If there are more subsets than angles.

    References
    ----------
    Hudson and Larkin, *Accelerated image reconstruction using ordered subsets of projection data*, IEEE Trans. Med.
    Imaging 13 (1994).

    Examples
    --------
    >>> import torch
    >>> from wellposed.operators import ParallelBeam2D
    >>> A = ParallelBeam2D(torch.arange(6) * torch.pi / 6, (1, 8, 8))
    >>> stack, parts = ordered_subsets(A, A(torch.ones(1, 1, 8, 8)), 3)
    >>> len(parts), parts[0].shape[2]
    (3, 2)
    """
    check_whole("ordered_subsets", "count", count, least=1)
    angles = operator.params.get("angles")
    if angles is None:
        raise UnsupportedError(f"ordered_subsets cuts operators with angles, and {type(operator).__name__} has none.")
    views = angles.shape[1]
    if count > views:
        raise ArgumentError(f"ordered_subsets expects at most as many subsets as angles, {views}, got {count}.")
    of_views = {name: value for name, value in operator.params.items() if value.ndim == 2 and value.shape[1] == views}
    subsets = [
        operator.with_params(**{name: value[:, first::count] for name, value in of_views.items()})
        for first in range(count)
    ]
    return Stack(subsets), tuple(y[:, :, first::count] for first in range(count))
