"""The battery of denoisers, run on every registered one: `x_hat = denoiser(x, sigma)` for any image and noise level."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch

from tests.models.denoiser_cases import CASES
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.models import MODELS, Denoiser, DnCNN, DRUNet, UNet
from wellposed.models.u_shape import UShapedDenoiser

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
TOLD = {name: case for name, case in CASES.items() if not case.make().blind}
every_told_case = pytest.mark.parametrize("case", TOLD.values(), ids=TOLD)
REAL = {name: case for name, case in CASES.items() if not case.takes_complex}
every_real_case = pytest.mark.parametrize("case", REAL.values(), ids=REAL)


def test_every_denoiser_has_a_case():
    registered = {name for name, model in MODELS.items() if issubclass(model, Denoiser)}
    assert {type(case.make()).__name__ for case in CASES.values()} == registered


def test_denoisers_are_abstract_or_final():
    kinds = [*Denoiser.__subclasses__(), *UShapedDenoiser.__subclasses__()]
    final = {kind for kind in kinds if getattr(kind, "__final__", False) and kind.__module__.startswith("wellposed.")}
    assert inspect.isabstract(Denoiser)
    assert inspect.isabstract(UShapedDenoiser)
    assert final == {model for model in MODELS.values() if issubclass(model, Denoiser)}


@every_case
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 8), (9, 5), (1, 1), (3, 16)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_any_size_keeps_its_shape_and_precision(case, channels, size, dtype):
    x = case.image(2, channels, *size, dtype=dtype)
    denoised = case.make(channels, dtype)(x, 0.1)
    assert (denoised.shape, denoised.dtype) == (x.shape, x.dtype)
    assert torch.isfinite(denoised).all()
    assert not torch.allclose(denoised, x)


@every_case
def test_a_batch_equals_its_items(case):
    model, x, sigma = case.make(2), case.image(3, 2, 9, 7), torch.tensor([0.1, 0.3, 0.7])
    together = model(x, sigma)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], model(x[i : i + 1], float(sigma[i])), rtol=1e-6, atol=1e-7)


@every_case
def test_number_per_image_and_map_agree(case):
    """Rows O16 (maps on sizes that are not multiples of anything) and O17 (NumPy numbers)."""
    model, x = case.make(), case.image(2, 1, 9, 7)
    denoised = model(x, 0.2)
    levels = [
        torch.tensor(0.2),
        torch.tensor([0.2]),
        torch.full((2,), 0.2),
        torch.full((1, 1, 1, 1), 0.2),
        torch.full((2, 1, 9, 7), 0.2),
        torch.full((1, 1, 9, 1), 0.2),
        np.float32(0.2),
        np.array([0.2, 0.2]),
    ]
    for level in levels:
        torch.testing.assert_close(model(x, level), denoised, rtol=1e-6, atol=1e-7)


@every_told_case
def test_the_noise_level_matters_where_it_changes(case):
    """A map that rises in the last columns leaves distant pixels as they were."""
    model, x = case.make(), case.image(1, 1, 8, 64)
    level = torch.full((1, 1, 1, 64), 0.1, dtype=torch.float64)
    level[..., 60:] = 0.5
    change = (model(x, level) - model(x, 0.1)).abs()
    assert change[..., 60:].min() > 0
    if "Equivariant" not in type(model).__name__:
        assert change[..., :16].max() == 0


@every_case
def test_a_missing_noise_level_raises_unless_blind(case):
    model, x = case.make(), case.image(1, 1, 8, 8)
    if model.blind:
        torch.testing.assert_close(model(x), model(x, 0.3), rtol=0, atol=0)
    else:
        with pytest.raises(ArgumentError, match="needs the noise level"):
            model(x)


@every_case
@pytest.mark.parametrize("scale", [1e-3, 7.0])
def test_bias_free_denoisers_are_homogeneous(case, scale):
    """D(a x, a sigma) = a D(x, sigma), and not where there are biases."""
    model, x = case.make(), case.image(2, 1, 9, 7)
    scaled, denoised = model(scale * x, scale * 0.2) / scale, model(x, 0.2)
    assert torch.allclose(scaled, denoised, rtol=1e-9, atol=1e-12) == case.homogeneous


@every_case
def test_gradients_are_the_slopes(case):
    model, x = case.make(), case.image(2, 1, 3, 3).requires_grad_()
    sigma = torch.tensor([0.2, 0.4], dtype=torch.float64, requires_grad=not model.blind)
    assert torch.autograd.gradcheck(model, (x, sigma))


@every_case
def test_every_weight_gets_a_gradient(case):
    model, x = case.make(2), case.image(2, 2, 9, 7)
    model(x, 0.2).abs().square().sum().backward()
    assert [name for name, weight in model.named_parameters() if not bool(weight.grad.any())] == []


@every_case
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copies_denoise_the_same(case, duplicate):
    """Row S11."""
    model, x = case.make(), case.image(1, 1, 9, 7)
    assert torch.equal(duplicate(model)(x, 0.2), model(x, 0.2))


@every_case
def test_a_state_dict_carries_everything(case):
    model, x = case.make(), case.image(1, 1, 9, 7)
    other = case.build(1).double()
    assert not torch.equal(other(x, 0.2), model(x, 0.2))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x, 0.2), model(x, 0.2))


@every_case
def test_inputs_weights_and_random_numbers_are_left_alone(case):
    model, x = case.make(), case.image(2, 1, 9, 7)
    sigma = torch.tensor([0.1, 0.2], dtype=torch.float64)
    kept = x.clone(), sigma.clone(), copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    first = model(x, sigma)
    assert torch.equal(x, kept[0])
    assert torch.equal(sigma, kept[1])
    assert all(torch.equal(kept[2][name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), kept[3])
    assert torch.equal(model(x, sigma), first)


@every_case
def test_memory_layout_does_not_matter(case):
    """Channels-last weights and images, and images that are views."""
    model, x = case.make(3), case.image(2, 3, 9, 7)
    denoised = model(x, 0.2)
    last = case.make(3).to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x.contiguous(memory_format=torch.channels_last), 0.2), denoised)
    torch.testing.assert_close(model(x.mT.contiguous().mT, 0.2), denoised)


@every_real_case
def test_bfloat16_autocast_stays_near(case):
    model, x = case.make(1, torch.float32), case.image(1, 1, 9, 7, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        denoised = model(x, 0.2)
    assert denoised.dtype == torch.float32
    torch.testing.assert_close(denoised, model(x, 0.2), rtol=0.05, atol=0.05)


@every_case
@pytest.mark.parametrize(
    ("sigma", "error", "words"),
    [
        (-0.1, ArgumentError, "expects sigma >= 0, got -0.1"),
        (float("nan"), ArgumentError, "expects sigma >= 0, got nan"),
        ("0.1", DTypeError, "a real number or a real tensor, got str"),
        (torch.tensor(1j), DTypeError, "got torch.complex64"),
        (torch.ones(3), ShapeError, r"one per image of shape \(2,\), or a map of shape \(2, 1, 9, 7\)"),
        (torch.ones(2, 2, 9, 7), ShapeError, r"got \(2, 2, 9, 7\)"),
        (torch.ones(9, 7), ShapeError, r"got \(9, 7\)"),
        (torch.ones(2, 1, 8, 7), ShapeError, r"got \(2, 1, 8, 7\)"),
    ],
    ids=["negative", "nan", "text", "complex", "batch", "channels", "no batch", "size"],
)
def test_noise_levels_that_do_not_fit_raise(case, sigma, error, words):
    with pytest.raises(error, match=words):
        case.make(2)(case.image(2, 2, 9, 7), sigma)


@every_case
def test_images_that_do_not_fit_raise(case):
    """Row 29 of the peer's list: the error names the network, what it expected, what came and what to do."""
    model = case.make(3)
    with pytest.raises(ShapeError, match=r"images of shape \(B, .*got \(3, 8, 8\): add the batch axis"):
        model(case.image(3, 8, 8), 0.1)
    with pytest.raises(ShapeError, match=r"expects images of shape \(B, .*got \(1, 4, 8, 8\)"):
        model(case.image(1, 4, 8, 8), 0.1)
    with pytest.raises(ShapeError, match="images with pixels"):
        model(case.image(1, 3, 0, 8), 0.1)
    with pytest.raises(DTypeError, match=r"expects floating-point images, got torch\.uint8"):
        model(torch.ones(1, 3, 8, 8, dtype=torch.uint8), 0.1)
    with pytest.raises(DTypeError, match=r"torch\.from_numpy"):
        model(np.ones((1, 3, 8, 8)), 0.1)
    with pytest.raises(DTypeError, match=r"float64 weights and got torch\.(float32|complex64) images: .*\.to\("):
        model(case.image(1, 3, 8, 8, dtype=torch.float32), 0.1)


@every_real_case
def test_complex_images_are_referred_to_the_wrapper(case):
    with pytest.raises(DTypeError, match=r"got torch\.complex128: wrap it in ComplexDenoiser"):
        case.make()(torch.ones(1, 1, 8, 8, dtype=torch.complex128), 0.1)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: DnCNN(depth=1), "depth of at least 2"),
        (lambda: DnCNN(width=0), "width to be a whole number of at least 1, got 0"),
        (lambda: UNet(levels=1), "at least 2 levels"),
        (lambda: UNet(channels=1.5), "channels to be a whole number of at least 1, got 1.5"),
        (lambda: DRUNet(widths=(8,)), "at least two widths"),
        (lambda: DRUNet(widths=(8, -8)), r"widths\[1\] to be a whole number of at least 1, got -8"),
        (lambda: DRUNet(blocks=0), "blocks to be"),
    ],
)
def test_sizes_that_make_no_sense_raise(build, words):
    with pytest.raises(ArgumentError, match=words):
        build()
