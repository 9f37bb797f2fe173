"""Objects as JSON and named tensors, and back."""

import json

import pytest
import torch
from torch import nn

from tests.support.models import Chain, Gain, Total
from tests.support.tensors import random_tensor
from wellposed.core.config import from_config, to_config
from wellposed.core.errors import FormatError, KeywordError, UnknownNameError, UnsupportedError

REGISTRY = {cls.__name__: cls for cls in (Gain, Chain, Total)}


def test_description_round_trip():
    model = Total((Chain(Gain(1 + 1j), Gain(random_tensor(2, 3)), offset=2.5), Gain(4.0, label="end")))
    tensors = {}
    described = json.loads(json.dumps(to_config(model, tensors, path="physics")))
    assert described["type"] == "Total"
    assert all(name.startswith("physics.parts.") for name in tensors)
    again = from_config(described, tensors, REGISTRY)
    x = random_tensor(2, 3)
    assert torch.equal(again(x), model(x))
    assert again.parts[1].label == "end"


def test_descriptions_hold_no_graph_and_nothing_that_is_not_plain():
    tensors = {}
    to_config(Gain(nn.Parameter(torch.ones(1))), tensors, path="a")
    assert not tensors["a.gain"].requires_grad
    with pytest.raises(UnsupportedError, match=r"^a.label is a set, which cannot be written to a file"):
        to_config(Gain(1.0, label={1}), {}, path="a")


@pytest.mark.parametrize(
    ("config", "error", "match"),
    [
        ({"tensor": "a.gain"}, FormatError, "names a tensor 'a.gain' that the file does not hold"),
        ({"type": "Gain"}, FormatError, "an entry that is not understood"),
        ({"type": "Gain", "arguments": [1]}, FormatError, "an entry that is not understood"),
        ({"type": "Gian", "arguments": {}}, UnknownNameError, "did you mean 'Gain'"),
        ({"type": "Gain", "arguments": {"gain": 1.0, "lable": "x"}}, KeywordError, "did you mean 'label'"),
    ],
)
def test_damaged_descriptions_are_refused(config, error, match):
    with pytest.raises(error, match=match):
        from_config(config, {}, REGISTRY)
