"""Which method is chosen, and the methods that ask a network: with weights, and without."""

import logging

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor
from wellposed.core.complex_view import complex_to_channels
from wellposed.core.errors import UnknownNameError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.data import demo_photograph, get_task
from wellposed.models import ArtifactRemoval, ComplexDenoiser, DenoiserTiny, save_model
from wellposed.operators import Operator
from wellposed.optim import LeastSquares, noise_levels, smooth_start
from wellposed.verbs import _networks
from wellposed.verbs._plug_and_play import plug_and_play, red
from wellposed.verbs.reconstruct import METHODS, check_method, choose_method, dpir, installed


def tiny(channels, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DenoiserTiny(channels=channels, widths=(4, 8), blocks=1)


@pytest.fixture
def nothing_bundled(tmp_path, monkeypatch):
    monkeypatch.setattr(_networks, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def bundled(nothing_bundled):
    save_model(nothing_bundled / "denoiser-tiny-rgb.safetensors", tiny(3))
    save_model(nothing_bundled / "denoiser-tiny-grey.safetensors", tiny(1))
    save_model(nothing_bundled / "ram-small.safetensors", ArtifactRemoval(tiny(3)))
    return nothing_bundled


def blurred(channels=3, sigma=0.05, batch=2):
    x = demo_photograph(size=24)[:, :channels].repeat(batch, 1, 1, 1)
    kernel = torch.full((1, 1, 3, 3), 1 / 9)
    physics = wp.Physics(wp.operators.Blur(kernel, (channels, 24, 24), padding="circular"), wp.noise.Gaussian(sigma))
    return physics(x, generator=torch.Generator().manual_seed(0)), physics


class Squared(Operator):
    def _forward(self, x):
        return x.square()


@pytest.mark.parametrize(
    ("operator", "y", "expected"),
    [
        (wp.operators.Identity((1, 8, 8)), torch.ones(1, 1, 8, 8), "dpir"),
        (wp.operators.Identity((2, 8, 8)), torch.ones(1, 2, 8, 8), "dpir"),
        (wp.operators.Identity(), torch.ones(1, 3, 8, 8), "dpir"),
        (wp.operators.ParallelBeam2D(torch.arange(5) * 0.6, (1, 8, 8)), torch.ones(1, 1, 5, 12), "tv"),
        (wp.operators.Identity((4, 8, 8)), torch.ones(1, 4, 8, 8), "tv"),
        (wp.operators.Identity((1, 4, 8, 8)), torch.ones(1, 1, 4, 8, 8), "tv"),
        (wp.operators.Identity((1, 8, 8)), torch.ones(1, 1, 8, 8, dtype=torch.complex64), "tv"),
        (wp.operators.Identity((2, 8, 8)), torch.ones(1, 2, 8, 8, dtype=torch.complex64), "tv"),
        (Squared((1, 8, 8), (1, 8, 8)), torch.ones(1, 1, 8, 8), "tv"),
    ],
)
def test_what_is_best_is_chosen_where_it_fits(bundled, operator, y, expected):
    assert choose_method(y, wp.Physics(operator)) == expected


def test_without_weights_total_variation_is_chosen(nothing_bundled):
    y, physics = blurred()
    assert choose_method(y, physics) == "tv"
    assert torch.equal(wp.reconstruct(y, physics), wp.reconstruct(y, physics, "tv"))


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1, 3, 8, 8), torch.float32, "dpir"),
        ((1, 1, 8, 8), torch.float32, "dpir"),
        ((1, 4, 8, 8), torch.float32, "tv"),
        ((1, 1, 8, 8), torch.complex64, "tv"),
        ((1, 3, 4, 8, 8), torch.float32, "tv"),
    ],
)
def test_without_the_network_complex_images_are_left_to_total_variation(nothing_bundled, shape, dtype, expected):
    for channels, name in ((3, "rgb"), (1, "grey")):
        save_model(nothing_bundled / f"denoiser-tiny-{name}.safetensors", tiny(channels))
    physics = wp.Physics(wp.operators.Identity(shape[1:]), wp.noise.Gaussian(0.1))
    assert choose_method(torch.ones(shape, dtype=dtype), physics) == expected


def test_the_choice_follows_the_weights_and_is_logged(nothing_bundled, caplog):
    y, physics = blurred()
    with caplog.at_level(logging.INFO, logger="wellposed"):
        wp.reconstruct(y, physics)
        save_model(nothing_bundled / "ram-small.safetensors", ArtifactRemoval(tiny(3)))
        by_network = wp.reconstruct(y, physics)
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("reconstruct")]
    assert said == ["reconstruct: Blur by tv", "reconstruct: Blur by ram"]
    assert torch.equal(by_network, wp.reconstruct(y, physics, "ram"))


def test_new_weights_replace_those_in_memory(bundled):
    y, physics = blurred()
    before = wp.reconstruct(y, physics, "ram")
    save_model(bundled / "ram-small.safetensors", ArtifactRemoval(tiny(3, seed=1)))
    assert not torch.equal(wp.reconstruct(y, physics, "ram"), before)


def test_the_network_is_asked_with_the_physics(bundled):
    y, physics = blurred()
    assert torch.equal(wp.reconstruct(y, physics, "ram"), ArtifactRemoval(tiny(3)).eval()(y, physics))


@pytest.mark.parametrize("method", ["ram", "dpir", "pnp"])
def test_double_precision_stays(bundled, method):
    """The answers differ by as much as the noise levels do, which are estimated from other draws in each precision."""
    y = random_tensor(1, 3, 16, 16).abs()
    double = wp.reconstruct(y, wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1)).double(), method)
    single = wp.reconstruct(y.float(), wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1)), method)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(double.float(), single, atol=5e-3, rtol=0)


@pytest.mark.parametrize("method", ["ram", "dpir", "pnp", "red"])
def test_weights_that_are_not_there_are_told_with_a_way_out(nothing_bundled, method):
    y, physics = blurred()
    assert not installed(method)
    with pytest.raises(MissingFileError, match="not part of this installation: upgrade wellposed, or pass a model"):
        wp.reconstruct(y, physics, method)


def test_methods_without_weights_are_always_installed(nothing_bundled):
    assert [name for name in METHODS if installed(name)] == ["adjoint", "fbp", "pinv", "tv", "wavelet", "dip"]


def test_dpir_takes_the_denoiser_of_the_colours(bundled):
    y, physics = blurred()
    torch.testing.assert_close(wp.reconstruct(y, physics, "dpir"), wp.reconstruct(y, physics, dpir(tiny(3))))
    y, physics = blurred(channels=1)
    torch.testing.assert_close(wp.reconstruct(y, physics, "dpir"), wp.reconstruct(y, physics, dpir(tiny(1))))


def test_dpir_denoises_other_channels_one_by_one(bundled):
    y, physics = blurred(channels=2)
    kernel = physics.operator.kernel
    one = wp.Physics(wp.operators.Blur(kernel, (1, 24, 24), padding="circular"), wp.noise.Gaussian(0.05))
    together = wp.reconstruct(
        y, physics, dpir(lambda x, sigma: torch.cat([tiny(1)(c, sigma) for c in x.split(1, 1)], 1))
    )
    torch.testing.assert_close(wp.reconstruct(y, physics, "dpir"), together)
    assert not torch.allclose(wp.reconstruct(y[:, :1], one, "dpir"), y[:, :1], atol=1e-3)


def test_dpir_denoises_complex_images_part_by_part(bundled):
    task = get_task("mri-x4")
    y, physics = task.sample(task.fit(demo_photograph(size=32)), generator=torch.Generator().manual_seed(1))
    expected = wp.reconstruct(y, physics, dpir(ComplexDenoiser(tiny(1))))
    torch.testing.assert_close(wp.reconstruct(y, physics, "dpir"), expected)
    assert complex_to_channels(expected).shape == (1, 2, 32, 32)


def test_dpir_denoises_volumes_slice_by_slice(bundled):
    y = random_tensor(2, 1, 3, 16, 16, dtype=torch.float32).abs()
    physics = wp.Physics(wp.operators.Identity((1, 3, 16, 16)), wp.noise.Gaussian(0.05))

    def slices(x, sigma):
        return torch.stack([tiny(1)(one, sigma) for one in x.unbind(2)], dim=2)

    torch.testing.assert_close(wp.reconstruct(y, physics, "dpir"), wp.reconstruct(y, physics, dpir(slices)))


def shrinking(seen=None):
    """Return a homogeneous denoiser that notes the levels it is given."""

    def denoise(x, sigma):
        if seen is not None:
            seen.append(sigma.tolist())
        size = x.abs().amax(dim=(1, 2, 3), keepdim=True)
        return x * size / (size + sigma.view(-1, 1, 1, 1))

    return denoise


LOSSY = torch.ones(1, 1, 4, 4)
LOSSY[..., 1, 2] = 0


def test_dpir_ends_at_the_noise_of_each_image():
    y, seen = LOSSY.repeat(2, 1, 1, 1), []
    physics = wp.Physics(wp.operators.Mask(LOSSY), wp.noise.Gaussian(torch.tensor([0.02, 0.1])))
    wp.reconstruct(y, physics, dpir(shrinking(seen)))
    assert seen[-1] == pytest.approx([0.02, 0.1], rel=0.3)
    assert seen[0] == pytest.approx([49 / 255, 49 / 255], rel=0.05)


def test_dpir_takes_eight_steps_where_noise_is_amplified_and_more_where_parts_are_lost_whole():
    y, physics = blurred(channels=1, batch=1)
    blur, mask = [], []
    wp.reconstruct(y, physics, dpir(shrinking(blur)))
    lossy = wp.Physics(wp.operators.Mask(LOSSY), wp.noise.Gaussian(0.1))
    wp.reconstruct(LOSSY, lossy, dpir(shrinking(mask)))
    assert (len(blur), len(mask)) == (8, 24)


@pytest.mark.parametrize("factor", [1.0, -3.0])
def test_where_there_is_only_noise_it_is_removed_once_at_its_level(factor):
    """Of a multiple of the identity, the naive image has the noise of the measurements over that factor."""
    y = random_tensor(2, 1, 32, 32, dtype=torch.float32).abs()
    sigma, seen = torch.tensor([0.02, 0.1]), []
    physics = wp.Physics(factor * wp.operators.Identity((1, 32, 32)), wp.noise.Gaussian(sigma * abs(factor)))
    clean = wp.reconstruct(factor * y, physics, dpir(shrinking(seen)))
    (level,) = seen
    assert level == pytest.approx(sigma.tolist(), rel=0.05)
    torch.testing.assert_close(clean, shrinking()(y, torch.tensor(level)))


def test_a_batch_of_several_kinds_equals_its_items():
    """The first mask loses nothing, the second loses a pixel, the third weighs them."""
    mask = torch.cat([torch.ones(1, 1, 4, 4), LOSSY, torch.linspace(0.2, 1, 16).view(1, 1, 4, 4)])
    physics = wp.Physics(wp.operators.Mask(mask), wp.noise.Gaussian(0.05))
    y = mask * torch.linspace(0, 1, 16).view(1, 1, 4, 4)
    together = wp.reconstruct(y, physics, dpir(shrinking()))
    for i in range(3):
        alone = wp.reconstruct(y[i : i + 1], physics.with_params(mask=mask[i : i + 1]), dpir(shrinking()))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-3, atol=1e-4)


def test_dpir_counts_photon_noise_by_its_variance_and_no_noise_as_a_thousandth():
    y = torch.full((1, 1, 64, 64), 0.25)
    seen = []
    wp.reconstruct(y, wp.Physics(wp.operators.Identity(), wp.noise.Poisson(0.04)), dpir(shrinking(seen)))
    assert seen[-1] == pytest.approx([0.1], rel=0.05)
    wp.reconstruct(y, wp.Physics(wp.operators.Identity()), dpir(shrinking(seen)))
    assert seen[-1] == pytest.approx([0.25e-3], rel=0.05)


@pytest.mark.parametrize("factor", [1e-3, 50.0])
def test_dpir_does_not_mind_the_factor_of_the_operator(factor):
    y, physics = blurred(channels=1)
    scaled = wp.Physics(factor * physics.operator, wp.noise.Gaussian(0.05 * factor))
    plain = wp.reconstruct(y, physics, dpir(shrinking()))
    torch.testing.assert_close(wp.reconstruct(factor * y, scaled, dpir(shrinking())), plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_dpir_does_not_mind_the_scale_of_the_data(scale):
    y, physics = blurred(channels=1)
    scaled = physics.with_params(sigma=0.05 * scale)
    plain = wp.reconstruct(y, physics, dpir(shrinking()))
    torch.testing.assert_close(
        wp.reconstruct(scale * y, scaled, dpir(shrinking())) / scale, plain, rtol=1e-3, atol=1e-4
    )


ONE_LEVEL = pytest.mark.parametrize("method", [plug_and_play, red])


@ONE_LEVEL
@pytest.mark.parametrize(("factor", "scale"), [(1e-3, 1.0), (50.0, 1.0), (1.0, 1e-6), (1.0, 1e6)])
def test_one_level_does_not_mind_the_factor_of_the_operator_nor_the_scale_of_the_data(method, factor, scale):
    y, physics = blurred(channels=1)
    scaled = wp.Physics(factor * physics.operator, wp.noise.Gaussian(0.05 * factor * scale))
    plain = method(y, physics, shrinking(), None)
    got = method(factor * scale * y, scaled, shrinking(), None) / scale
    torch.testing.assert_close(got, plain, rtol=1e-3, atol=1e-3)


@ONE_LEVEL
def test_one_level_in_a_batch_equals_its_items_and_tells_its_progress(method):
    task, seen = get_task("motion-easy"), []
    y, physics = task.sample(torch.rand(2, 1, 40, 40), generator=torch.Generator().manual_seed(2))
    both = method(y, physics, shrinking(), lambda *step: seen.append(step))
    one = method(y[1:], physics.with_params(kernel=physics.operator.kernel[1:]), shrinking(), None)
    torch.testing.assert_close(both[1:], one, atol=2e-3, rtol=0)
    assert seen == [(step, 50) for step in range(1, len(seen) + 1)]


def test_red_is_the_zero_of_its_field():
    """By dense algebra for the denoiser x / 2: (A^H A + (s / sigma)^2 / 2) x = A^H y, with sigma 0.03 of white."""
    mask = torch.linspace(0.3, 1, 16).view(1, 1, 4, 4)
    physics, y = wp.Physics(wp.operators.Mask(mask), wp.noise.Gaussian(0.02)), mask * random_tensor(1, 1, 4, 4).abs()
    y, levels = y.float(), []

    def half(x, sigma):
        levels.append(sigma)
        return x / 2

    x = red(y, physics, half, None)
    weight = (noise_levels(y, physics).measurements / levels[0]).square().item()
    torch.testing.assert_close(x, mask * y / (mask.square() + weight / 2), rtol=2e-3, atol=2e-3)
    white = smooth_start(LeastSquares(physics.operator, y)).abs().max()
    torch.testing.assert_close(levels[0], 0.03 * white.view(1), rtol=1e-3, atol=0)


def test_one_level_is_a_multiple_of_strong_noise():
    y, seen = LOSSY.clone(), []
    for sigma in (0.1, 0.2):
        physics = wp.Physics(wp.operators.Mask(LOSSY), wp.noise.Gaussian(sigma))
        noise = noise_levels(y, physics).measurements.item()
        for method, factor in ((plug_and_play, 1.5), (red, 0.5)):
            seen.clear()
            method(y, physics, shrinking(seen), None)
            assert {round(level, 5) for (level,) in seen} == {round(factor * noise, 5)}


def test_dpir_in_a_batch_equals_its_items():
    task = get_task("motion-easy")
    y, physics = task.sample(torch.rand(2, 1, 40, 40), generator=torch.Generator().manual_seed(2))
    both = wp.reconstruct(y, physics, dpir(shrinking()))
    one = wp.reconstruct(y[1:], physics.with_params(kernel=physics.operator.kernel[1:]), dpir(shrinking()))
    torch.testing.assert_close(both[1:], one, atol=1e-3, rtol=0)


def test_dpir_tells_its_progress(bundled):
    y, physics = blurred()
    seen = []
    wp.reconstruct(y, physics, "dpir", callback=lambda *step: seen.append(step))
    assert seen == [(step, len(seen)) for step in range(1, len(seen) + 1)]


def test_what_is_not_linear_is_refused(bundled):
    physics = wp.Physics(Squared((3, 8, 8), (3, 8, 8)), wp.noise.Gaussian(0.1))
    for method in ("adjoint", "pinv", "tv", "wavelet", "pnp", "red", "dpir", "dip", "auto"):
        with pytest.raises(UnsupportedError, match="Squared is not linear"):
            wp.reconstruct(torch.ones(1, 3, 8, 8), physics, method)


def test_names_are_strict():
    assert check_method("auto") == "auto"
    with pytest.raises(UnknownNameError, match="did you mean 'dpir'"):
        check_method("dpri")


def test_filtered_backprojection_is_the_operators_own():
    x = wp.data.shepp_logan((24, 24))
    physics = wp.Physics(wp.operators.ParallelBeam2D(wp.data.uniform_angles(20), (1, 24, 24)))
    y = physics(x)
    assert torch.equal(wp.reconstruct(y, physics, "fbp"), physics.operator.fbp(y))
    y, physics = blurred()
    with pytest.raises(UnsupportedError, match="filtered backprojection is for tomography, and Blur is something else"):
        wp.reconstruct(y, physics, "fbp")


@pytest.mark.parametrize("task", ["denoise-medium", "motion-medium", "inpaint-50", "sr4"])
def test_half_precision_loses_less_than_a_tenth_of_a_decibel(task):
    """Under autocast the bundled networks compute in bfloat16, all else in its own precision."""
    x = demo_photograph("astronaut", size=64)
    y, physics = get_task(task).sample(x, generator=torch.Generator().manual_seed(0))
    full = wp.reconstruct(y, physics)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = wp.reconstruct(y, physics)
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    scores = [float(wp.metrics.psnr(image, x, data_range=1.0)) for image in (half, full)]
    assert scores[0] > scores[1] - 0.1
