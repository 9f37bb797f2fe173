"""Objects whose parameters are replaced and never written, alone and in compositions."""

import pickle

import pytest
import torch
from torch import nn

from tests.support.models import Chain, Forgetful, Gain, Total
from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, KeywordError, ShapeError


def number(model, x=1.0):
    return model(torch.tensor(x)).item()


def test_parameters_are_buffers_in_floating_point():
    assert Gain(2.0).gain.dtype == torch.float32
    assert Gain(2).gain.dtype == torch.float32
    assert Gain(torch.tensor([True])).gain.tolist() == [1.0]
    double = random_tensor(3)
    assert Gain(double).gain is double
    assert Gain(1j).gain.is_complex()
    with pytest.raises(ShapeError, match=r"Gain got an empty gain of shape \(0, 2\)"):
        Gain(torch.ones(0, 2))


def test_replacing_a_parameter_leaves_the_original():
    """S1, S2."""
    model = Gain(2.0, label="kept")
    changed = model.with_params(gain=5.0)
    assert (number(model), number(changed)) == (2, 5)
    assert (type(changed), changed.label) == (Gain, "kept")
    assert model.with_params() is model


def test_unknown_parameters_are_refused_at_every_depth():
    """S1: what is an argument but no parameter is refused as well."""
    for model in (Gain(2.0), Total((Chain(Gain(1.0), Gain(2.0)),))):
        for name in ("gan", "label", "parts", "_marker"):
            with pytest.raises(KeywordError, match=f"{type(model).__name__} has no parameter '{name}'"):
                model.with_params(**{name: 1.0})


def test_training_mode_and_gradients_stay():
    trainable = nn.Parameter(torch.tensor(3.0))
    model = Gain(trainable).eval()
    assert model.gain is trainable
    assert [name for name, _ in model.named_parameters()] == ["gain"]
    assert not model.with_params(gain=1.0).training
    model(torch.tensor(2.0)).backward()
    assert trainable.grad.item() == 2


def test_gradients_flow_through_replaced_parameters_of_parts():
    """L7: chained from another tensor too."""
    theta = torch.tensor(0.5, requires_grad=True)
    chain = Chain(Gain(2.0), Gain(3.0))
    chain.with_params(**{"first.gain": theta.exp()})(torch.tensor(1.0)).backward()
    assert theta.grad.item() == pytest.approx(3 * torch.tensor(0.5).exp().item())


def test_names_in_a_composition_are_plain_where_unique_and_qualified_where_not():
    chain = Chain(Gain(2.0), Gain(3.0), offset=1.0)
    assert {name: value.item() for name, value in chain.params.items()} == {
        "offset": 1,
        "first.gain": 2,
        "second.gain": 3,
    }
    assert number(chain.with_params(**{"second.gain": 10.0})) == 21
    assert number(chain.with_params(offset=5.0, **{"first.gain": 0.0})) == 5
    assert number(chain) == 7
    with pytest.raises(KeywordError, match="Chain has no parameter 'gain'"):
        chain.with_params(gain=1.0)


def test_names_at_depth():
    inner = Chain(Gain(2.0), Gain(3.0), offset=1.0)
    model = Total((inner, Gain(100.0)))
    assert set(model.params) == {"offset", "first.gain", "second.gain", "gain"}
    assert number(model) == 107
    assert number(model.with_params(gain=0.0, offset=2.0, **{"first.gain": 1.0})) == 5
    both = Total((inner, inner))
    assert "parts.1.first.gain" in both.params
    assert number(both.with_params(**{"parts.1.first.gain": 0.0})) == 7 + 1


def test_a_part_whose_parameter_is_named_like_another_part_is_not_mistaken_for_it():
    model = Chain(Chain(Gain(2.0), Gain(3.0)), Gain(5.0))
    assert number(model.with_params(**{"first.gain": 7.0})) == 7 * 3 * 5
    assert number(model.with_params(**{"second.gain": 7.0})) == 2 * 7 * 5
    assert number(model.with_params(gain=7.0)) == 2 * 3 * 7


def test_a_part_with_a_parameter_of_the_same_name_as_the_whole():
    model = Chain(Chain(Gain(1.0), Gain(1.0), offset=10.0), Gain(1.0), offset=1.0)
    assert (model.params["offset"].item(), model.params["first.offset"].item()) == (1, 10)
    assert number(model.with_params(offset=2.0)) == 1 + 10 + 2
    assert number(model.with_params(**{"first.offset": 20.0})) == 1 + 20 + 1


def test_what_is_not_replaced_is_shared():
    chain = Chain(Gain(random_tensor(2)), Gain(random_tensor(2)))
    changed = chain.with_params(offset=1.0)
    assert changed.first.gain is chain.first.gain


def test_moving_keeps_imaginary_parts_and_real_kinds():
    model = Chain(Gain(1 + 2j), Gain(2.0)).to(torch.float64)
    assert (model.first.gain.item(), model.first.gain.dtype) == (1 + 2j, torch.complex128)
    assert (model.second.gain.dtype, model.offset.dtype) == (torch.float64, torch.float64)
    trainable = Gain(nn.Parameter(torch.tensor(1 + 2j))).double()
    assert (trainable.gain.item(), trainable.gain.dtype) == (1 + 2j, torch.complex128)


def test_derived_values_are_kept_until_the_parameter_changes():
    """O9."""
    model = Gain(torch.tensor(3.0))
    first = model.squared()
    assert model.squared() is first
    model.gain.mul_(2)
    assert model.squared().item() == 36
    model.gain = torch.tensor(5.0)
    assert model.squared().item() == 25
    assert model.double().squared().dtype == torch.float64
    assert pickle.loads(pickle.dumps(model))._derived == {}


def test_derived_values_are_not_kept_while_a_gradient_is_wanted():
    model = Gain(nn.Parameter(torch.tensor(3.0)))
    for _ in range(2):
        model.gain.grad = None
        model.squared().backward()
        assert model.gain.grad.item() == 6


def test_a_class_that_breaks_the_rule_is_told_which():
    with pytest.raises(
        ArgumentError, match=r"Forgetful does not keep its constructor's argument 'size': store it as self.size"
    ):
        Forgetful(3).with_params(gain=torch.ones(3))
