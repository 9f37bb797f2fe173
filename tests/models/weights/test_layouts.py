"""The layouts of others: a restatement of KAIR's DnCNN gives what ours gives, and sizes are read off the tensors."""

import json

import pytest
import torch
from torch import nn

from tests.support.reference import FOLDER, needs_reference
from tests.support.tensors import random_tensor
from wellposed.models import RAM, DenoiserTiny, DnCNN, DRUNet, UNet
from wellposed.models.weights import WEIGHTS
from wellposed.models.weights.layouts import in_our_layout, sizes


class KairDnCNN(nn.Module):
    """Convolutions and ReLUs in one list; the network predicts the noise, which is subtracted."""

    def __init__(self, channels, width, depth, *, bias=True):
        super().__init__()
        layers = [nn.Conv2d(channels, width, 3, padding=1, bias=bias)]
        for _ in range(depth - 2):
            layers += [nn.ReLU(), nn.Conv2d(width, width, 3, padding=1, bias=bias)]
        layers += [nn.ReLU(), nn.Conv2d(width, channels, 3, padding=1, bias=bias)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return x - self.model(x)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "width", "depth"), [(1, 4, 2), (3, 5, 3), (1, 4, 14)])
def test_the_dncnn_of_kair_becomes_ours(channels, width, depth, bias):
    """The same images come out; fourteen convolutions have numbers of two digits, whose order is no alphabet's."""
    torch.manual_seed(0)
    published = KairDnCNN(channels, width, depth, bias=bias).double()
    before = {name: tensor.clone() for name, tensor in published.state_dict().items()}
    weights = in_our_layout("DnCNN", published.state_dict())
    arguments = sizes("DnCNN", weights)
    assert arguments == {"channels": channels, "width": width, "depth": depth, "bias": bias}
    model = DnCNN(**arguments).double()
    model.load_state_dict(weights)
    x = random_tensor(2, channels, 7, 6)
    torch.testing.assert_close(model(x), published(x), rtol=1e-13, atol=1e-13)
    assert all(torch.equal(before[name], tensor) for name, tensor in published.state_dict().items())


def test_other_layouts_are_left_as_they_are():
    kair = KairDnCNN(1, 4, 3).state_dict()
    for model, weights in {"UNet": kair, "DnCNN": DnCNN(1, 4, 3).state_dict() | kair}.items():
        assert list(in_our_layout(model, weights)) == list(weights)


SIZED = {
    "DnCNN": (DnCNN, {"channels": 2, "width": 6, "depth": 4, "bias": True}),
    "DRUNet": (DRUNet, {"channels": 2, "widths": (3, 5, 7), "blocks": 2}),
    "DenoiserTiny": (DenoiserTiny, {"channels": 3, "widths": (4, 6), "blocks": 1}),
    "RAM-base": (RAM, {"size": "base", "embedding": True, "krylov": True}),
    "RAM-embedding": (RAM, {"size": "small", "embedding": True, "krylov": False}),
    "RAM-plain": (RAM, {"size": "small", "embedding": False, "krylov": False}),
}


@pytest.mark.parametrize(("kind", "arguments"), SIZED.values(), ids=SIZED)
def test_sizes_are_read_off_the_tensors(kind, arguments):
    with torch.device("meta"):
        model = kind(**arguments)
    assert sizes(kind.__name__, model.state_dict()) == arguments


def test_nothing_is_read_off_the_tensors_of_another_model():
    other = UNet(channels=1, width=4, levels=2).state_dict()
    assert [sizes(name, other) for name in ("DnCNN", "DRUNet", "DenoiserTiny", "RAM", "UNet")] == [{}] * 5


@needs_reference
@pytest.mark.parametrize(
    ("stored", "model", "arguments"),
    [
        ("drunet_1ch", "DRUNet", {"channels": 1, "widths": (64, 128, 256, 512), "blocks": 4}),
        ("drunet_3ch", "DRUNet", {"channels": 3, "widths": (64, 128, 256, 512), "blocks": 4}),
        ("dncnn_3ch", "DnCNN", {"channels": 3, "width": 64, "depth": 20, "bias": True}),
        ("ram", "RAM", {"size": "base", "embedding": True, "krylov": True}),
    ],
)
def test_sizes_of_the_published_checkpoints(stored, model, arguments):
    """Their entries in the registry build models of these sizes."""
    keys = dict(json.loads((FOLDER / "state_dict_keys.json").read_text(encoding="utf-8"))[stored])
    weights = {name: torch.empty(shape, device="meta") for name, shape in keys.items()}
    assert sizes(model, weights) == arguments
    entries = [entry for entry in WEIGHTS.values() if (entry.model, entry.urls != ()) == (model, True)]
    assert any(entry.arguments.items() <= arguments.items() for entry in entries)
