"""Measurements with their physics, and the truth where it is known, in the memory of a device."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.core.values import trusted_values
from wellposed.data.problems import Batch
from wellposed.physics import Physics

__all__ = ["PairTensors"]


@final
class PairTensors:
    """Stored measurements in memory, from which a `PairProblem` draws.

    Parameters
    ----------
    y : Tensor or tuple of tensors, shape (N, ...)
    physics : Physics
        Its parameters are shared, or one per measurement along their first axis.
    x : Tensor, shape (N, ...), optional
        The truth, where it is known.

    Raises
    ------
    ShapeError
        If measurements, truth and parameters are not for the same number of images.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Mask(torch.rand(5, 1, 4, 4)))
    >>> pairs = PairTensors(torch.rand(5, 1, 4, 4), physics)
    >>> y, some, _ = pairs.take(torch.tensor([3, 0]))
    >>> torch.equal(some.operator.mask[0], physics.operator.mask[3])
    True
    """

    def __init__(self, y: Tree, physics: Physics, x: Tensor | None = None) -> None:
        leaves = [*tree_leaves(y), *([] if x is None else [x])]
        per_image = {value.shape[0] for value in physics.params.values() if value.ndim} - {1}
        if len({len(leaf) for leaf in leaves} | per_image) != 1:
            raise ShapeError(
                f"PairTensors expects one number of images, got measurements and truth of {[len(v) for v in leaves]} "
                f"and parameters for {sorted(per_image) or 'all'}."
            )
        self.y, self.physics, self.x = y, physics, x

    def __len__(self) -> int:
        return len(tree_leaves(self.y)[0])

    def to(self, device: torch.device | str) -> PairTensors:
        """Return the same pairs on another device; these stay where they are."""
        moved = self.physics.with_params(**{name: value.to(device) for name, value in self.physics.params.items()})
        truth = None if self.x is None else self.x.to(device)
        return PairTensors(tree_map(lambda leaf: leaf.to(device), self.y), moved.to(device), truth)

    def take(self, indices: Tensor) -> Batch:
        """Return some of the pairs, in the order asked for; an index may come twice.

        Parameters
        ----------
        indices : Tensor, shape (B,), integers
        """
        rows = indices.to(tree_leaves(self.y)[0].device)
        params = self.physics.params.items()
        own = {name: value[rows] for name, value in params if value.ndim and value.shape[0] == len(self) > 1}
        with trusted_values():
            physics = self.physics.with_params(**own)
        return Batch(tree_map(lambda leaf: leaf[rows], self.y), physics, None if self.x is None else self.x[rows])
