"""What every loss promises: one number per image, no look at the truth, true gradients, seeds, and untouched inputs."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from tests.contracts.loss_cases import CASES, NO_EXAMPLE, SHAPE
from tests.support.tensors import assert_same, random_tensor
from wellposed import losses
from wellposed.core.errors import ArgumentError, WellposedError
from wellposed.core.tree import tree_map

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
X = random_tensor(2, *SHAPE, seed=2).abs()


class Network(nn.Module):
    """Two smooth layers whose weights are given; the second sees each pixel alone."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, y, physics):
        image = physics.A_adjoint(y)
        near = torch.nn.functional.conv2d(image, self.weights[:, :, :3], padding=1)
        return image + near.tanh() * self.weights[:, :, 3].mean()


WEIGHTS = 0.3 * random_tensor(1, 1, 4, 3, seed=3)


def value(case, weights=WEIGHTS, y=None, loss=None, seed=0, x=None):
    loss, physics = loss or case.make(), case.physics()
    y = case.y() if y is None else y
    model = loss.adapt(Network(weights))
    torch.manual_seed(seed)
    return loss(x_hat=model(y, physics), y=y, physics=physics, model=model, x=X if case.needs_truth else x)


def test_every_loss_has_a_case():
    made = [case.make() for case in CASES.values()]
    known = {type(part).__name__ for loss in made for part in getattr(loss, "losses", (loss,))}
    assert known - {"Weighted"} | {"ssdu"} == set(losses.__all__) - NO_EXAMPLE


@every
def test_one_number_per_image_and_the_truth_is_not_looked_at(case):
    if case.needs_truth:
        with pytest.raises(ArgumentError, match="true image"):
            case.make()(x_hat=X, y=X, physics=case.physics(), model=None)
        return
    plain = value(case)
    assert plain.shape == (2,)
    assert plain[0] != plain[1]
    assert torch.equal(plain, value(case, x=torch.full_like(X, torch.nan)))


@every
def test_the_gradient_is_that_of_finite_differences(case):
    weights = WEIGHTS.clone().requires_grad_()
    loss = case.make()
    for companion in loss.companions():
        companion.double()
    assert torch.autograd.gradcheck(
        lambda w: value(case, w, loss=loss), (weights,), atol=2e-5, rtol=1e-3, fast_mode=True
    )


@pytest.mark.parametrize("case", [CASES[name] for name in CASES if "UNSURE" in name])
def test_the_gradient_of_the_multipliers_is_that_of_finite_differences(case):
    loss = case.make()
    multipliers = loss.companions()[0].double()
    value(case, loss=loss).sum().backward()
    gradient = multipliers.value.grad.clone()
    assert gradient.abs().max() > 0
    for index in range(gradient.numel()):
        sides = []
        for step in (1e-4, -1e-4):
            moved = deepcopy(loss)
            moved.companions()[0].value.data.view(-1)[index] += step
            sides.append(float(value(case, loss=moved).detach().sum()))
        assert float(gradient.view(-1)[index]) == pytest.approx((sides[0] - sides[1]) / 2e-4, rel=1e-5, abs=1e-8)


@every
def test_the_seed_decides_and_nothing_is_changed(case):
    y = case.y()
    before = tree_map(torch.clone, y)
    results = [value(case, y=y, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert torch.equal(results[0], results[1])
    assert any(not torch.equal(results[0], other) for other in results[2:]) is case.draws
    assert_same(y, before, atol=0, rtol=0)


@every
def test_a_generator_can_be_given_for_all_that_is_drawn(case):
    def with_generator(seed):
        loss, physics, y = case.make(), case.physics(), case.y()
        model = loss.adapt(Network(WEIGHTS))
        generator = torch.Generator().manual_seed(seed)
        options = {"generator": generator} if isinstance(model, losses.DrawnInput) else {}
        x_hat = model(y, physics, **options)
        x = X if case.needs_truth else None
        return loss(x_hat=x_hat, y=y, physics=physics, model=model, x=x, generator=generator)

    state = torch.get_rng_state()
    assert torch.equal(with_generator(5), with_generator(5))
    assert torch.equal(state, torch.get_rng_state())


@every
def test_it_can_be_copied_shown_and_compared(case):
    loss = case.make()
    assert torch.equal(value(case, loss=deepcopy(loss)), value(case, loss=loss))
    assert deepcopy(loss) == loss
    assert type(loss).__name__ in repr(loss)


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.refused], ids=[n for n in CASES if CASES[n].refused]
)
def test_a_physics_that_contradicts_it_is_refused(case):
    loss, physics, y = case.make(), case.refused(), case.y()
    model = loss.adapt(Network(WEIGHTS))
    with pytest.raises(WellposedError, match=case.sentence):
        loss(x_hat=model(y, physics), y=y, physics=physics, model=model)
