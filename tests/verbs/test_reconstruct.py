"""`wp.reconstruct` on a real photograph, and on wrong input."""

import pytest
import torch

import wellposed as wp
from wellposed.core.errors import ArgumentError, ShapeError, SolverError, UnknownNameError
from wellposed.data import demo_photograph, get_task
from wellposed.solvers import LSMR, least_squares

SPARSE = {"denoise-medium": 2.0, "motion-medium": 1.5, "inpaint-50": 5.0, "sr4-clean": 0.1}
GAINS = {"denoise-medium": 2.0, "motion-medium": 2.0, "gaussian-medium": 2.0, "inpaint-50": 5.0, "sr4": 0.5}


def psnr(x_hat, x):
    return wp.metrics.psnr(x_hat, x, data_range=1.0).item()


@pytest.mark.parametrize(("name", "gain"), GAINS.items(), ids=GAINS)
def test_total_variation_beats_the_closed_forms(name, gain):
    """By so many dB over the better of adjoint and pseudo-inverse, without any tuning."""
    task = get_task(name)
    x = task.fit(demo_photograph(size=128))
    y, physics = task.sample(x, generator=torch.Generator().manual_seed(0))
    naive = [physics.A_adjoint(y)] + ([physics.A_dagger(y)] if physics.operator.has_closed_form("pinv") else [])
    assert psnr(wp.reconstruct(y, physics), x) >= max(psnr(image, x) for image in naive) + gain


@pytest.mark.parametrize(("name", "gain"), SPARSE.items(), ids=SPARSE)
def test_wavelets_beat_the_closed_forms(name, gain):
    task = get_task(name)
    x = task.fit(demo_photograph(size=64))
    y, physics = task.sample(x, generator=torch.Generator().manual_seed(0))
    naive = [physics.A_adjoint(y)] + ([physics.A_dagger(y)] if physics.operator.has_closed_form("pinv") else [])
    assert psnr(wp.reconstruct(y, physics, "wavelet"), x) >= max(psnr(image, x) for image in naive) + gain


def test_named_methods_are_the_closed_forms():
    physics = wp.Physics(wp.operators.Mask(torch.tensor([[[[0.5, 0.0], [2.0, 1.0]]]])))
    y = physics(torch.ones(1, 1, 2, 2))
    assert wp.reconstruct(y, physics, "adjoint").flatten().tolist() == [0.25, 0.0, 4.0, 1.0]
    assert wp.reconstruct(y, physics, method="pinv").flatten().tolist() == [1.0, 0.0, 1.0, 1.0]


def test_a_pseudo_inverse_out_of_reach_is_least_squares_stopped_early_and_a_warning(caplog):
    task = get_task("gaussian-hard")
    y, physics = task.sample(demo_photograph(size=48)[:, :1], generator=torch.Generator().manual_seed(0))
    A = physics.operator
    with pytest.raises(SolverError):
        A.pinv(y)
    x_hat = wp.reconstruct(y, physics, "pinv")
    assert torch.equal(x_hat, least_squares(A, A.adjoint, y, solver=LSMR(), throw=False).value)
    assert "Blur is ill-conditioned: least squares ended after 200 steps" in caplog.text


def test_a_pseudo_inverse_within_reach_is_the_dense_one_without_a_warning(caplog):
    blur = wp.operators.Blur(torch.tensor([[[[0.1, 0.8, 0.1]]]]), (1, 6, 8), padding="valid")
    y = torch.rand(1, *blur.measurement_shape, generator=torch.Generator().manual_seed(0))
    assert not blur.has_closed_form("pinv")
    expected = torch.linalg.pinv(blur.to_matrix()[0]) @ y.flatten()
    assert torch.allclose(wp.reconstruct(y, wp.Physics(blur), "pinv").flatten(), expected, atol=1e-5)
    assert not caplog.text


def test_any_model_is_a_method():
    physics = wp.Physics(wp.operators.Identity())
    y = torch.ones(1, 1, 2, 2)
    assert wp.reconstruct(y, physics, lambda y, physics: 3 * physics.A_adjoint(y)).max() == 3


def test_same_input_same_output_and_nothing_changes():
    task = get_task("inpaint-50")
    y, physics = task.sample(torch.rand(2, 1, 16, 16), generator=torch.Generator().manual_seed(1))
    before = y.clone()
    first = wp.reconstruct(y, physics)
    assert torch.equal(first, wp.reconstruct(y, physics))
    assert torch.equal(before, y)


def test_a_batch_equals_its_items():
    task = get_task("motion-easy")
    y, physics = task.sample(torch.rand(2, 1, 40, 40), generator=torch.Generator().manual_seed(2))
    both = wp.reconstruct(y, physics)
    kernel = physics.operator.kernel
    one = wp.reconstruct(y[1:], physics.with_params(kernel=kernel[1:]))
    torch.testing.assert_close(both[1:], one, atol=1e-3, rtol=0)


def test_complex_images_of_mri():
    task = get_task("mri-x4")
    x = task.fit(demo_photograph(size=64))
    y, physics = task.sample(x, generator=torch.Generator().manual_seed(3))
    assert psnr(wp.reconstruct(y, physics), x) > psnr(physics.A_adjoint(y), x) + 1


def test_several_measurements():
    x = demo_photograph(size=32)
    operator = wp.operators.Stack((wp.operators.Downsample(2, (3, 32, 32)), wp.operators.Identity((3, 32, 32))))
    physics = wp.Physics(operator, wp.noise.PerPart((wp.noise.Gaussian(0.01), wp.noise.Gaussian(0.1))))
    y = physics(x, generator=torch.Generator().manual_seed(4))
    assert psnr(wp.reconstruct(y, physics), x) > psnr(y[1], x) + 2


def test_progress_is_reported():
    seen = []
    y = torch.rand(1, 1, 8, 8)
    wp.reconstruct(y, wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1)), callback=lambda *s: seen.append(s))
    assert [step for step, _ in seen] == list(range(1, len(seen) + 1))
    assert len(seen) <= seen[0][1]


def test_wrong_input_is_told():
    physics = wp.Physics(wp.operators.Identity((1, 4, 4)), wp.noise.Gaussian(0.1))
    with pytest.raises(ArgumentError, match="NaN"):
        wp.reconstruct(torch.full((1, 1, 4, 4), torch.nan), physics)
    with pytest.raises(UnknownNameError, match="did you mean 'tv'"):
        wp.reconstruct(torch.zeros(1, 1, 4, 4), physics, "tvv")
    with pytest.raises(ShapeError, match="Identity"):
        wp.reconstruct(torch.zeros(1, 1, 5, 4), physics)
