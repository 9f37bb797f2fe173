"""The network that a loss adapts: it draws in training, averages at test, and knows how each result was drawn."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.losses import (
    L1,
    R2R,
    DrawnInput,
    EquivariantSplitting,
    Neighbor2Neighbor,
    Noise2Noise,
    Noise2Self,
    Noise2Void,
    Splitting,
    ssdu,
)
from wellposed.noise import Gaussian, Poisson
from wellposed.transforms import Rotate

Y = random_tensor(2, 1, 6, 6).abs()


class Square(nn.Module):
    """A network that is not linear, and notes what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, y, physics):
        self.seen.append((y, physics))
        return physics.A_adjoint(y).square()


def denoising(noise=None):
    return wp.Physics(wp.operators.Identity(), noise or Gaussian(0.2))


def test_in_training_each_call_is_another_draw_of_which_the_network_is_told_the_level():
    network, physics = Square(), denoising(Gaussian(torch.tensor([0.2, 0.4], dtype=torch.float64)))
    model = R2R(0.36).adapt(network)
    assert not torch.equal(model(Y, physics), model(Y, physics))
    torch.testing.assert_close(network.seen[0][1].noise.sigma, torch.tensor([0.25, 0.5], dtype=torch.float64))
    assert network.seen[0][1].operator is physics.operator
    assert torch.equal(model(Y, physics, generator=seeded(1)), model(Y, physics, generator=seeded(1)))


def test_at_test_it_is_the_mean_over_the_draws_and_always_the_same():
    network, physics, loss = Square().eval(), denoising(), R2R(0.3, draws=3)
    model = loss.adapt(network)
    first = model(Y, physics)
    shown = torch.stack([y for y, _ in network.seen])
    assert len(shown) == 3
    torch.testing.assert_close(first, shown.square().mean(0))
    assert torch.equal(first, model(Y, physics))
    assert not torch.equal(first, model(Y, physics, generator=seeded(1)))
    model.train()
    assert len(network.seen) == 9
    model(Y, physics)
    assert len(network.seen) == 10


def test_without_draws_the_network_sees_the_measurements_at_test():
    network, physics = Square().eval(), denoising()
    for loss in (Splitting(), EquivariantSplitting(), Noise2Void(), Noise2Self(invariant=False), Neighbor2Neighbor()):
        assert torch.equal(loss.adapt(network)(Y, physics), Y.square())
        assert network.seen[-1] == (Y, physics)
    assert torch.equal(Noise2Noise().adapt(network)((Y, 2 * Y), physics), Y.square())
    assert torch.equal(Noise2Noise().adapt(network)(Y, physics), Y.square())


def test_a_result_is_known_as_long_as_it_is_there():
    loss, physics = Splitting(ratio=0.5), denoising()
    model = loss.adapt(Square())
    one, other = model(Y, physics), model(Y, physics)
    values = [loss(x_hat=x_hat, y=Y, physics=physics, model=model) for x_hat in (one, other, one)]
    assert torch.equal(values[0], values[2])
    assert not torch.equal(values[0], values[1])
    model.model.seen.clear()
    draw = weakref.ref(model.drawn_for(one)[0].y)
    del one, values
    gc.collect()
    assert draw() is None


def test_what_was_not_drawn_is_refused():
    loss, physics = Splitting(), denoising()
    network = Square()
    with pytest.raises(ArgumentError, match=r"loss\.adapt\(model\)"):
        loss(x_hat=Y, y=Y, physics=physics, model=network)
    model = loss.adapt(network)
    with pytest.raises(ArgumentError, match="without a copy"):
        loss(x_hat=model(Y, physics).clone(), y=Y, physics=physics, model=model)
    with pytest.raises(ArgumentError, match=r"loss\.adapt\(model\)"):
        R2R()(x_hat=model(Y, physics), y=Y, physics=physics, model=model)


def test_copies_and_pickles_forget_the_draws_and_keep_the_network():
    model = R2R().adapt(nn.Linear(1, 1))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin, DrawnInput)
        assert twin.loss == model.loss
        assert torch.equal(twin.model.weight, model.model.weight)


def test_sums_adapt_the_network_once_for_each_and_each_finds_its_draw():
    """The last is nearest to the measurements: the network sees a recorrupted part, and R2R compares with that part."""
    network, physics = Square(), denoising(Gaussian(0.2))
    parts = Splitting(ratio=0.5, compare="kept back"), R2R(0.3)
    loss = 2 * parts[1] + 0 * L1() + parts[0]
    model = loss.adapt(network)
    x_hat = model(Y, physics, generator=seeded(1))
    generator = seeded(1)
    split = parts[0].draw(Y, physics, generator=generator)
    again = parts[1].draw(split.y, split.physics, generator=generator)
    assert torch.equal(network.seen[0][0], again.y)
    mask = split.physics.operator.mask
    expected = ((1 - mask) * (x_hat - Y).square()).flatten(1).mean(1)
    expected = expected + 2 * (mask * x_hat - again.target).square().flatten(1).mean(1)
    torch.testing.assert_close(loss(x_hat=x_hat, y=Y, physics=physics, model=model, x=Y), expected)


def test_a_moved_operator_tells_the_network_of_another_image_and_moves_its_answer_back():
    loss = EquivariantSplitting(Rotate(), ratio=0.7)
    mask = (random_tensor(1, 1, 6, 6, seed=4) > 0).double()
    physics = wp.Physics(wp.operators.Mask(mask))
    network = Square()
    x = Y
    y = physics.operator(x)
    x_hat = loss.adapt(network)(y, physics, generator=seeded(2))
    draw = loss.draw(y, physics, generator=seeded(2))
    shown, seen_physics = network.seen[0]
    torch.testing.assert_close(seen_physics.operator(draw.motion.inverse()(x)), shown)
    torch.testing.assert_close(x_hat, draw.motion(seen_physics.A_adjoint(shown).square()))
    assert seen_physics.operator.adjoint_error() < 1e-6
    with pytest.raises(ArgumentError, match="interpolate nothing"):
        EquivariantSplitting(Rotate(order=None))


def test_splits_keep_closed_forms_and_have_the_share_and_the_pattern_asked_for():
    y = torch.ones(400, 2, 8, 10, dtype=torch.float64)
    kept = Splitting(ratio=0.7).draw(y, denoising(), generator=seeded()).physics.operator.mask
    assert float(kept.mean()) == pytest.approx(0.7, abs=0.01)
    assert kept.shape[1] == 1
    rows = Splitting(ratio=0.7, pattern="rows").draw(y, denoising(), generator=seeded()).physics.operator.mask
    assert torch.equal(rows, rows[..., :1].expand_as(rows))
    assert float(rows.mean()) == pytest.approx(0.7, abs=0.02)
    columns = Splitting(ratio=0.7, pattern="columns", centre=4).draw(y, denoising(), generator=seeded())
    mask = columns.physics.operator.mask
    assert torch.equal(mask, mask[..., :1, :].expand_as(mask))
    assert mask[..., 4:7].min() == 1
    assert float(mask.mean()) == pytest.approx(0.7, abs=0.02)
    mri = wp.Physics(wp.operators.CartesianMRI(torch.ones(1, 1, 8, 10, dtype=torch.float64), (1, 8, 10)))
    k_space = torch.ones(400, 1, 8, 10, dtype=torch.complex128)
    draw = ssdu(0.6).draw(k_space, mri, generator=seeded())
    assert isinstance(draw.physics.operator, wp.operators.CartesianMRI)
    held = 1 - draw.physics.operator.mask.mean((0, 1))
    assert float(held.mean()) == pytest.approx(0.4, abs=0.01)
    assert held[3:6, 4:7].max() == 0
    assert held[4, 7] > held[4, 9] > held[0, 0]
    blur = wp.Physics(wp.operators.Blur(torch.ones(1, 1, 3, 3, dtype=torch.float64) / 9, (2, 8, 10)))
    draw = Splitting(ratio=0.5).draw(blur.operator(y[:3]), blur, generator=seeded())
    x = random_tensor(3, 2, 8, 10)
    torch.testing.assert_close(draw.physics.operator(x), draw.physics.operator.outer.mask * blur.operator(x))


def test_whole_frames_are_kept_back_of_an_image_that_does_not_move():
    """Artifact2Artifact: the network sees some frames, and is compared with the others."""
    mask = (random_tensor(1, 1, 5, 6, 6, seed=4) > -0.5).double()
    physics = wp.Physics(wp.operators.SequentialMRI(mask, (1, 6, 6)))
    x = torch.complex(Y[:1], Y[1:]).expand(50, -1, -1, -1)
    y = physics.operator(x)
    for ratio, shown in ((0.4, 2), (0.01, 1), (0.99, 4)):
        loss = Splitting(ratio=ratio, pattern="frames", compare="kept back")
        draw = loss.draw(y, physics, generator=seeded())
        frames = draw.physics.operator.mask.flatten(3).amax(3)[:, 0]
        assert torch.equal(frames.sum(1), torch.full((50,), float(shown), dtype=torch.float64))
        assert (frames.sum(0) > 0).all()
        kept = frames[:, None, :, None, None]
        torch.testing.assert_close(draw.physics.operator(x), kept * y)
        torch.testing.assert_close(draw.y, kept * y)
        model = loss.adapt(Square())
        x_hat = model(y, physics, generator=seeded())
        expected = ((1 - kept) * (physics.operator(x_hat) - y)).abs().square().flatten(1).mean(1)
        torch.testing.assert_close(loss(x_hat=x_hat, y=y, physics=physics, model=model), expected)
    with pytest.raises(ShapeError, match="frames"):
        Splitting(pattern="frames").draw(Y, denoising())


def test_neighbours_are_pixels_of_one_square_that_touch():
    y = torch.arange(60.0).view(1, 1, 6, 10).expand(300, 2, 6, 10) + torch.tensor([0.0, 100.0]).view(1, 2, 1, 1)
    draw = Neighbor2Neighbor().draw(y, denoising(), generator=seeded())
    gaps = (draw.y - draw.target)[:, 0]
    assert set(gaps.unique().tolist()) == {-10.0, -1.0, 1.0, 10.0}
    assert torch.equal(draw.y[:, 1], draw.y[:, 0] + 100)
    row, column = draw.y[:, 0] // 10, draw.y[:, 0] % 10
    assert torch.equal(row // 2, torch.arange(3.0)[:, None].expand(300, 3, 5))
    assert torch.equal(column // 2, torch.arange(5.0).expand(300, 3, 5))
    odd = Neighbor2Neighbor().draw(y[..., :5, :9], denoising(), generator=seeded())
    assert odd.y.shape == (300, 2, 2, 4)
    with pytest.raises(ShapeError, match="2 x 2"):
        Neighbor2Neighbor().draw(y[..., :1], denoising())


def test_the_second_term_of_neighbours_is_the_published_one():
    loss, physics = Neighbor2Neighbor(regularisation=2.0), denoising()
    y = Y.clone().requires_grad_()
    model = loss.adapt(Square())
    x_hat = model(y, physics)
    draw = model.drawn_for(x_hat)[0]
    places = [(Y.reshape(2, 1, 1, -1) == part.reshape(2, 1, -1, 1)).long().argmax(-1) for part in (draw.y, draw.target)]
    small = [Y.square().flatten(2).gather(2, place).view(2, 1, 3, 3) for place in places]
    first = (draw.y.square() - draw.target).square()
    second = (draw.y.square() - draw.target - small[0] + small[1]).square()
    value = loss(x_hat=x_hat, y=y, physics=physics, model=model)
    torch.testing.assert_close(value, (first + 2 * second).flatten(1).mean(1))


def test_hidden_pixels_are_replaced_by_others_of_the_neighbourhood():
    y = torch.arange(110.0).view(1, 1, 11, 10).expand(500, 1, 11, 10)
    draw = Noise2Void(fraction=0.1, radius=2).draw(y, denoising(), generator=seeded())
    hidden = draw.aside.bool()
    assert float(hidden.double().mean()) == pytest.approx(0.1, abs=0.005)
    assert torch.equal(draw.y[~hidden], y[~hidden])
    assert not (draw.y[hidden] == y[hidden]).any()
    where = torch.zeros_like(y)
    where[..., 5, 5] = 1
    found = set(draw.y[hidden & where.bool()].tolist())
    assert found <= {10.0 * row + column for row in range(3, 8) for column in range(3, 8)}
    assert len(found) > 15


def test_at_test_hidden_pixels_are_foretold_from_the_others_alone():
    """Noise2Self at test has a Jacobian with a zero diagonal, and so have the pixels hidden by Noise2Void."""
    network, physics = Square().eval(), denoising()
    model = Noise2Self(spacing=2).adapt(network)
    y = Y[:1, :, :4, :4].clone()
    jacobian = torch.autograd.functional.jacobian(lambda y: model(y, physics), y).view(16, 16)
    assert jacobian.diagonal().abs().max() == 0
    assert jacobian.abs().max() > 0
    model = Noise2Void(fraction=0.5, draws=30).adapt(network)
    jacobian = torch.autograd.functional.jacobian(lambda y: model(y, physics), y).view(16, 16)
    assert jacobian.diagonal().abs().max() == 0


def test_what_makes_no_sense_is_refused():
    for make in (
        lambda: R2R(0),
        lambda: R2R(1),
        lambda: R2R(draws=0),
        lambda: Splitting(ratio=1),
        lambda: Splitting(draws=-1),
        lambda: Splitting(centre=-1),
        lambda: Splitting(pattern="frames", centre=1),
        lambda: Splitting(sampling=torch.ones(1)),
        lambda: Noise2Void(fraction=0),
        lambda: Noise2Void(radius=0),
        lambda: Noise2Self(spacing=1),
        lambda: Neighbor2Neighbor(regularisation=-1),
    ):
        with pytest.raises(ArgumentError):
            make()
    with pytest.raises(ShapeError, match="pair"):
        Noise2Noise().draw(Y, denoising())
    with pytest.raises(ArgumentError, match="no counts times the gain"):
        R2R().draw(Y, denoising(Poisson(0.5)))
    with pytest.raises(UnsupportedError, match="tuple of 2"):
        R2R().draw((Y, Y), denoising())
    flat = wp.Physics(wp.operators.Identity((3, 4)))
    with pytest.raises(UnsupportedError, match="Identity are"):
        Splitting().draw(torch.ones(1, 3, 4), flat)


def test_draws_at_test_do_not_repeat_the_noise_of_the_measurements():
    """Measurements of noise alone, drawn by the seed that everybody takes first."""
    physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(1.0))
    y = physics(torch.zeros(1, 1, 100, 100), generator=torch.Generator().manual_seed(0))
    seen = []
    model = R2R(draws=1).adapt(wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=2, width=1))).eval()
    model.model.forward = lambda y, _: seen.append(y) or y
    model(y, physics)
    added = seen[0] - y
    assert added.std() > 0.3
    assert abs(torch.corrcoef(torch.stack([added.flatten(), y.flatten()]))[0, 1]) < 0.05
