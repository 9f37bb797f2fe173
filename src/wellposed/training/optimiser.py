"""What moves the weights: Adam, AdamW or Muon, at the learning rate of the moment, and not at all where told so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from wellposed.core.errors import FormatError, UnsupportedError
from wellposed.training.options import Options

__all__ = ["Optimiser"]

_ADAM = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": torch.optim.Adam}
_LEAST_SIDE = 32


@final
class Optimiser:
    r"""The optimiser that the options name, on weights whose gradients lie in tensors of their own for good.

    "muon" moves each hidden convolution or linear map, with 32 inputs and outputs at least, as the matrix W that it is,
    by the orthogonal matrix nearest to its averaged gradient M, as long as a step of Adam,

    .. math:: W \leftarrow W - 0.2\, \eta \sqrt{\max(m, n)}\; U V^T,
        \qquad M = U \Sigma V^T \in \mathbb{R}^{m \times n},

    and all other weights by Adam.

    Parameters
    ----------
    weights : mapping of str to nn.Parameter
        By name; each has a gradient, laid in memory as the weight itself.
    options : Options

    Raises
    ------
    UnsupportedError
        If this torch has no Muon.

    References
    ----------
    Kingma, Ba, *Adam: a method for stochastic optimization*, ICLR 2015, arXiv:1412.6980.
    Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024; Liu et al., *Muon is scalable for
    LLM training*, 2025, arXiv:2502.16982, for the length of the step.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], options: Options) -> None:
        matrices = {name: _matrix(w) for name, w in weights.items() if options.optimiser == "muon" and _is_hidden(w)}
        plain = {name: weight for name, weight in weights.items() if name not in matrices}
        decay: dict[str, Any] = {"weight_decay": options.weight_decay} if options.optimiser == "adamw" else {}
        self._adam: Any = None
        if plain:
            self._adam = _ADAM[options.optimiser](plain.values(), betas=options.betas, fused=True, **decay)
        self._muon: Any = _muon(list(matrices.values())) if matrices else None
        self._weights: dict[str, nn.Parameter] = {**plain, **matrices}

    @torch.no_grad()
    def move(self, learning_rate: float, *, unless: Tensor) -> None:
        """Move the weights against their gradients, unless a 0-dim tensor holds true; nothing is read from it."""
        for optimiser in (self._adam, self._muon):
            for group in optimiser.param_groups if optimiser is not None else ():
                group["lr"] = learning_rate
        if self._adam is not None:
            self._adam.found_inf = unless.float()
            self._adam.step()
        if self._muon is not None:
            moved = [*self._muon.state, *(state["momentum_buffer"] for state in self._muon.state.values())]
            before = [tensor.clone() for tensor in moved]
            self._muon.step()
            for tensor, kept in zip(moved, before, strict=True):
                tensor.copy_(torch.where(unless, kept, tensor))

    def tensors(self) -> dict[str, Tensor]:
        """Return what it remembers of each weight, by names such as `exp_avg.m_head.weight`."""
        states = {name: self._state(weight) for name, weight in self._weights.items()}
        return {f"{key}.{name}": value for name, state in states.items() for key, value in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` gave.

        Raises
        ------
        FormatError
            If that was another optimiser, or one of other weights.
        """
        for name, weight in self._weights.items():
            keys = ("momentum_buffer",) if self._is_matrix(weight) else ("step", "exp_avg", "exp_avg_sq")
            missing = [key for key in keys if f"{key}.{name}" not in tensors]
            if missing:
                raise FormatError(f"the checkpoint is one of another optimiser: it has no {missing[0]} of {name}.")
            self._state(weight).update({key: _laid(tensors[f"{key}.{name}"], weight) for key in keys})

    def _state(self, weight: nn.Parameter) -> dict[str, Tensor]:
        return (self._muon if self._is_matrix(weight) else self._adam).state[weight]

    def _is_matrix(self, weight: nn.Parameter) -> bool:
        return self._muon is not None and weight in self._muon.state


def _muon(matrices: list[nn.Parameter]) -> Any:
    """Return torch's own Muon, its momentum at zero."""
    if not hasattr(torch.optim, "Muon"):
        raise UnsupportedError(
            f"the optimiser 'muon' needs torch 2.9 or newer, this is {torch.__version__}: use 'adam'."
        )
    muon: Any = torch.optim.Muon(matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for matrix in matrices:
        muon.state[matrix]["momentum_buffer"] = torch.zeros_like(matrix, requires_grad=False)
    return muon


def _is_hidden(weight: nn.Parameter) -> bool:
    return weight.ndim >= 2 and min(weight.shape[:2]) >= _LEAST_SIDE


def _matrix(weight: nn.Parameter) -> nn.Parameter:
    """Return the weight as a matrix with a row for each output, in the memory of the weight, and its gradient too."""
    matrix = nn.Parameter(_rows(weight.detach()))
    matrix.grad = None if weight.grad is None else _rows(weight.grad)
    return matrix


def _rows(tensor: Tensor) -> Tensor:
    """Return a view of shape (first side, all else), whichever axis lies innermost."""
    strides = tensor.stride()
    order = sorted(range(1, tensor.ndim), key=lambda axis: strides[axis], reverse=True)
    return tensor.permute(0, *order).view(len(tensor), -1)


def _laid(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a copy on the device of a weight, and in its layout where it has its shape."""
    if tensor.shape != weight.shape:
        return tensor.to(weight.device, copy=True)
    return torch.empty_like(weight, requires_grad=False).copy_(tensor)
