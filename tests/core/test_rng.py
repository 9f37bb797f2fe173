"""Randomness that is seeded where it is asked for, and independent by name."""

import math

import pytest
import torch

from tests.support.tensors import seeded
from wellposed.core import rng
from wellposed.core.rng import exponential_like, normal_like, streams, uniform_like

DRAWS = [normal_like, uniform_like, exponential_like]
every_draw = pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
LIKE = torch.zeros(40000, dtype=torch.float64)


@every_draw
def test_no_generator_honours_manual_seed(draw):
    """S9."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first, second = draw(LIKE), draw(LIKE)
        torch.manual_seed(3)
        again = draw(LIKE)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@every_draw
def test_a_generator_advances_and_is_the_only_one_used(draw):
    """S8."""
    before, generator = torch.get_rng_state(), seeded(0)
    first, second = draw(LIKE, generator), draw(LIKE, generator)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, draw(LIKE, seeded(0)))
    assert not torch.equal(first, second)
    assert not torch.equal(first, draw(LIKE, seeded(1)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_normal_numbers_are_of_the_kind_asked_for(dtype):
    """Complex ones have a variance of one in each part."""
    drawn = normal_like(torch.zeros(3, 5, dtype=dtype), seeded())
    assert (drawn.shape, drawn.dtype) == ((3, 5), dtype)
    many = torch.view_as_real(normal_like(LIKE.to(torch.complex128), seeded()))
    assert many.mean(0).abs().max() < 4 / 200
    torch.testing.assert_close(torch.cov(many.T), torch.eye(2, dtype=torch.float64), atol=0.03, rtol=0)


def test_moments():
    uniform, exponential = uniform_like(LIKE, seeded(1)), exponential_like(LIKE, seeded(1))
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 40000))
    assert (exponential.mean().item(), exponential.var().item()) == pytest.approx((1, 1), abs=0.05)
    assert torch.isfinite(exponential).all()


def first_draws(generator, *names):
    return {name: stream.initial_seed() for name, stream in streams(generator, *names).items()}


def test_streams_depend_on_their_name_and_the_seed_only():
    together = first_draws(seeded(0), "noise", "mask", "kernel")
    assert first_draws(seeded(0), "kernel", "noise") == {name: together[name] for name in ("kernel", "noise")}
    assert len(set(together.values())) == 3
    assert first_draws(seeded(1), "noise")["noise"] != together["noise"]


def test_streams_are_fresh_at_each_call():
    generator = seeded(0)
    assert first_draws(generator, "noise") != first_draws(generator, "noise")


def test_streams_take_one_draw_however_many_names():
    one, many = seeded(0), seeded(0)
    streams(one, "noise")
    streams(many, "noise", "mask", "kernel")
    assert torch.equal(one.get_state(), many.get_state())


def test_streams_without_a_generator_honour_manual_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = first_draws(None, "noise")
        torch.manual_seed(0)
        assert first_draws(None, "noise") == first


def test_streams_of_the_cpu_are_what_they_always_were():
    """Numbers that were drawn before streams went to other devices."""
    stream = streams(seeded(0), "operator")["operator"]
    assert stream.device.type == "cpu"
    assert stream.initial_seed() == 1632057462104970173


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_streams_lie_where_their_generator_does():
    generator = torch.Generator("cuda").manual_seed(0)
    stream = streams(generator, "operator")["operator"]
    assert stream.device.type == "cuda"
    assert torch.rand(2, generator=stream, device="cuda").device.type == "cuda"


def test_streams_are_uncorrelated():
    draws = [torch.randn(4000, generator=stream) for stream in streams(seeded(0), "a", "b", "c").values()]
    correlation = torch.corrcoef(torch.stack(draws)) - torch.eye(3)
    assert correlation.abs().max() < 4.5 / math.sqrt(4000)


def test_a_seed_with_a_name_gives_numbers_of_its_own():
    """Independent of those of the bare seed, of another seed and of another name, wherever one begins in them."""
    named = normal_like(LIKE, rng.seeded(0, "a"))
    assert torch.equal(named, normal_like(LIKE, rng.seeded(0, "a")))
    for others in (seeded(0), rng.seeded(1, "a"), rng.seeded(0, "b")):
        other = normal_like(torch.zeros(2 * len(LIKE), dtype=LIKE.dtype), others)
        spectrum = torch.fft.rfft(other) * torch.fft.rfft(named, len(other)).conj()
        assert torch.fft.irfft(spectrum, len(other)).abs().max() < 6 * len(LIKE) ** 0.5
