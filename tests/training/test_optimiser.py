"""The optimisers: Muon beside the singular value decomposition that it approximates; all of them kept and resumed."""

import math

import pytest
import torch
from torch import nn

from wellposed.core.errors import FormatError, UnsupportedError
from wellposed.training import Options
from wellposed.training.optimiser import Optimiser

GO, STAY = torch.tensor(0).bool(), torch.tensor(1).bool()
RATE = 0.01


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 48, 3), nn.ConvTranspose2d(48, 40, 2), nn.Linear(33, 35))


def optimiser(model, name, **options):
    for number, weight in enumerate(model.parameters()):
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        values = torch.randn(weight.shape, generator=torch.Generator().manual_seed(number))
        weight.grad = torch.empty_like(weight).copy_(values)
    return Optimiser(dict(model.named_parameters()), Options(steps=9, optimiser=name, **options))


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("name", ["1.weight", "2.weight", "3.weight"])
def test_muon_moves_a_hidden_layer_by_the_nearest_orthogonal_matrix(name):
    """Its singular values are not quite one: five steps of Newton and Schulz bring them between 0.7 and 1.2."""
    model = network()
    muon, before, gradient = optimiser(model, "muon"), weights(model)[name], model.get_parameter(name).grad.clone()
    muon.move(RATE, unless=GO)
    shape = (len(before), -1)
    step = (before - model.get_parameter(name)).detach().reshape(shape)
    step = step / (RATE * 0.2 * math.sqrt(max(step.shape)))
    left, _, right = torch.linalg.svd(gradient.reshape(shape), full_matrices=False)
    values = torch.linalg.svdvals(step)
    assert values.min() > 0.65
    assert values.max() < 1.25
    assert torch.nn.functional.cosine_similarity(step.flatten(), (left @ right).flatten(), dim=0) > 0.98


def test_muon_moves_all_other_weights_by_adam():
    model, other = network(), network()
    optimiser(model, "muon", betas=(0.5, 0.9)).move(RATE, unless=GO)
    optimiser(other, "adam", betas=(0.5, 0.9)).move(RATE, unless=GO)
    same = {name for name, weight in weights(model).items() if torch.equal(weight, weights(other)[name])}
    assert same == {"0.weight", "0.bias", "1.bias", "2.bias", "3.bias"}


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_nothing_moves_where_nothing_shall(name):
    model = network()
    mover = optimiser(model, name)
    mover.move(RATE, unless=GO)
    before = weights(model) | {key: value.clone() for key, value in mover.tensors().items()}
    for weight in model.parameters():
        weight.grad.fill_(float("nan"))
    mover.move(RATE, unless=STAY)
    after = weights(model) | mover.tensors()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_what_is_kept_goes_on_as_if_undisturbed(name):
    model, other = network(), network()
    mover = optimiser(model, name)
    mover.move(RATE, unless=GO)
    other.load_state_dict(model.state_dict())
    resumed = optimiser(other, name)
    resumed.restore({key: value.contiguous() for key, value in mover.tensors().items()})
    for one in (mover, resumed):
        one.move(RATE, unless=GO)
    assert all(torch.equal(value, weights(other)[key]) for key, value in weights(model).items())


@pytest.mark.parametrize(
    ("kept", "asked", "lost"), [("adam", "muon", "momentum_buffer of 1.weight"), ("muon", "adam", "step of 1.weight")]
)
def test_the_memory_of_another_optimiser_is_refused(kept, asked, lost):
    mover = optimiser(network(), kept)
    mover.move(RATE, unless=GO)
    with pytest.raises(FormatError, match=f"another optimiser: it has no {lost}"):
        optimiser(network(), asked).restore(mover.tensors())


def test_an_older_torch_is_told(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(UnsupportedError, match=r"needs torch 2.9 or newer, this is .*: use 'adam'"):
        optimiser(network(), "muon")
