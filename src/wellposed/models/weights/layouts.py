"""Checkpoints in the layout of others: renamed to ours, and the sizes of the model read off the tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wellposed.core.errors import FormatError
from wellposed.models.checkpoints import check_fit, read_weights

__all__ = ["check_finite", "in_our_layout", "sizes", "weights_for"]

_KAIR = re.compile(r"model\.(\d+)\.(weight|bias)")
_RAM_SIZES = {64: "base", 32: "small"}


def weights_for(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file that fit a model entirely.

    Raises
    ------
    FormatError
        If the file is damaged, belongs to another model, or has a weight that is not a number.
    """
    weights = in_our_layout(type(model).__name__, read_weights(path))
    check_fit(model, weights, path)
    check_finite(weights, path)
    return weights


def check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise `FormatError`, naming the first tensor, if a weight is NaN or infinite."""
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise FormatError(f"{path} is damaged: {name} holds NaN or infinite numbers.")


def in_our_layout(model: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    r"""Rename the tensors of a DnCNN of KAIR to ours; leave all others as they are.

    KAIR numbers convolutions and ReLUs in one list (`model.0`, `model.2`, ...) and subtracts what the network predicts,
    :math:`\hat x = x - n(x)`, where ours adds it: the last convolution changes its sign.

    Parameters
    ----------
    model : str
        The class of the model.
    weights : mapping of str to Tensor

    Examples
    --------
    >>> ones = torch.ones(1)
    >>> kair = {"model.0.weight": ones, "model.2.weight": ones, "model.4.weight": ones}
    >>> in_our_layout("DnCNN", kair)
    {'in_conv.weight': tensor([1.]), 'conv_list.0.weight': tensor([1.]), 'out_conv.weight': tensor([-1.])}
    """
    matches = {name: _KAIR.fullmatch(name) for name in weights}
    if model != "DnCNN" or None in matches.values():
        return dict(weights)
    places = {name: (int(match[1]), match[2]) for name, match in matches.items() if match}
    order = sorted({index for index, _ in places.values()})
    names = {index: f"conv_list.{position - 1}" for position, index in enumerate(order)}
    names |= {order[0]: "in_conv", order[-1]: "out_conv"}
    return {
        f"{names[index]}.{kind}": -weights[name] if index == order[-1] else weights[name]
        for name, (index, kind) in places.items()
    }


def sizes(model: str, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the constructor arguments that tensors of a model tell; none where they belong to another model.

    Examples
    --------
    >>> from wellposed.models import DnCNN
    >>> sizes("DnCNN", DnCNN(channels=1, width=8, depth=5, bias=False).state_dict())
    {'channels': 1, 'width': 8, 'depth': 5, 'bias': False}
    """
    try:
        return _SIZES[model](weights) if model in _SIZES else {}
    except LookupError:
        return {}


def _dncnn(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    width, channels = weights["in_conv.weight"].shape[:2]
    depth = 2 + sum(name.startswith("conv_list.") and name.endswith(".weight") for name in weights)
    return {"channels": channels, "width": width, "depth": depth, "bias": "in_conv.bias" in weights}


def _u_shape(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    blocks = sum(bool(re.fullmatch(r"m_body\.\d+\.res\.0\.weight", name)) for name in weights)
    scales = sum(bool(re.fullmatch(rf"m_down\d+\.{blocks}\.weight", name)) for name in weights)
    widths = [weights[f"m_down{scale}.{blocks}.weight"].shape[0] for scale in range(1, scales + 1)]
    return {"widths": (weights["m_head.weight"].shape[0], *widths), "blocks": blocks}


def _drunet(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"channels": weights["m_tail.weight"].shape[0], **_u_shape(weights)}


def _tiny(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"channels": weights["m_tail.weight"].shape[0] // 4, **_u_shape(weights)}


def _ram(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    size = _RAM_SIZES[weights["m_head.conv0.weight"].shape[0]]
    modules = {"embedding": "encoding_conv", "krylov": "decoding_conv"}
    return {"size": size} | {option: any(part in name for name in weights) for option, part in modules.items()}


_SIZES: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Any]]] = {
    "DRUNet": _drunet,
    "DenoiserTiny": _tiny,
    "DnCNN": _dncnn,
    "RAM": _ram,
}
