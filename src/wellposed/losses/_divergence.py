"""How much a reconstruction, measured again, moves with the measurements: traces of Jacobians by random probes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree, inner, per_image, tree_leaves, tree_map
from wellposed.losses._residuals import difference

Remeasured = Callable[[Tree], Tree]
"""y -> A f(y)."""


def probed_trace(
    remeasured: Remeasured, y: Tree, value: Tree, probe: Tree, weighted: Tree, step: float | None
) -> Tensor:
    r"""Return :math:`\mathrm{Re} \langle W \omega, J \omega \rangle`, shape (B,); its mean over probes is tr(W J).

    Parameters
    ----------
    remeasured : callable
        The map whose Jacobian at `y` is J.
    y, value : Tensor or tuple
        Where, and the map's value there.
    probe, weighted : Tensor or tuple
        :math:`\omega` and :math:`W \omega`.
    step : float, optional
        Of a finite difference, relative to the largest number of each image's measurements. None: by autograd.
    """
    if step is None:
        return _by_autograd(remeasured, y, probe, weighted)
    steps = step * _largest(y)
    shifted = tree_map(lambda leaf, direction: leaf + per_image(steps, leaf) * direction, y, probe)
    return inner(weighted, difference(remeasured(shifted), value)).real / steps


def check_step(owner: str, step: float | None) -> None:
    if step is not None and not 0 < step < 1:
        raise ArgumentError(f"{owner} expects a step between 0 and 1, or None for autograd, got {step!r}.")


def _by_autograd(remeasured: Remeasured, y: Tree, probe: Tree, weighted: Tree) -> Tensor:
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        at = tree_map(lambda leaf: leaf.detach().requires_grad_(), y)
        leaves = tree_leaves(at)
        gradients = torch.autograd.grad(
            tree_leaves(remeasured(at)), leaves, tree_leaves(weighted), create_graph=create_graph
        )
    return inner(tuple(gradients), tuple(tree_leaves(probe))).real


def _largest(y: Tree) -> Tensor:
    """Return the largest modulus of each image, or 1 where all are zero, shape (B,)."""
    largest = torch.stack([leaf.detach().abs().flatten(1).amax(1) for leaf in tree_leaves(y)]).amax(0)
    return torch.where(largest > 0, largest, 1).to(real_dtype(largest.dtype))
