"""Parallel and fan beams against chords of ellipses, against mass, and against the plain rule that all code follows."""

import math
import tracemalloc
import warnings

import pytest
import torch

from tests.support.forward_mode import uses_forward_mode
from tests.support.memory import PeakMemory
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.data import (
    Ellipse,
    degrees,
    draw_ellipses,
    golden_angles,
    integrate_ellipses,
    limited_angles,
    uniform_angles,
)
from wellposed.operators import ConeBeam3D, FanBeam2D, ParallelBeam2D, ParallelBeam3D
from wellposed.operators.tomography import _compiled, cone

BODIES = [Ellipse(1.0, (0.1, -0.2), (0.6, 0.4), 0.5), Ellipse(-0.5, (-0.2, 0.1), (0.2, 0.2))]
FULL = 2 * math.pi

BEAMS = {
    "parallel": lambda **k: ParallelBeam2D(uniform_angles(23), (1, 128, 128), **k),
    "parallel, fine, pixels of half a mm": lambda **k: ParallelBeam2D(
        golden_angles(23) - 7, (1, 128, 128), pixel_size=0.5, detector_pitch=0.3, detector_offset=2.7, **k
    ),
    "parallel, rectangle, an offset per view": lambda **k: ParallelBeam2D(
        uniform_angles(5), (1, 150, 128), 240, detector_offset=torch.tensor([[0.0, 1.5, -4.0, 9.0, 0.3]]), **k
    ),
    "fan": lambda **k: FanBeam2D(uniform_angles(23, span=FULL), (1, 128, 128), 150.0, 100.0, **k),
    "fan, wide, near": lambda **k: FanBeam2D(
        uniform_angles(9, span=FULL), (1, 128, 128), 110.0, 0.0, detector_pitch=0.7, detector_offset=-3.0, **k
    ),
}


@pytest.mark.parametrize("make", BEAMS.values(), ids=BEAMS)
def test_chords_of_ellipses(make):
    """The mean error of line integrals is far below one percent of their mean, for any geometry."""
    beam = make()
    exact = integrate_ellipses(BODIES, beam)
    error = (beam(draw_ellipses(BODIES, beam.image_shape[1:])) - exact).abs().mean() / exact.mean()
    assert error < 5e-3


def test_a_pixel_is_seen_where_the_formula_says():
    """At angle t, u = x cos t + y sin t, y upwards; the offset of the detector moves it the other way."""
    x = torch.zeros(1, 1, 21, 21)
    x[0, 0, 4, 13] = 1  # x = 3, y = 6
    angles = degrees(torch.tensor([0.0, 90.0, 180.0, -90.0]))
    y = ParallelBeam2D(angles, (1, 21, 21), n_detectors=31)(x)
    assert (y[0, 0].argmax(1) - 15).tolist() == [3, 6, -3, -6]
    moved = ParallelBeam2D(angles, (1, 21, 21), n_detectors=31, detector_offset=2.0)(x)
    assert (moved[0, 0].argmax(1) - 15).tolist() == [1, 4, -5, -8]
    torch.testing.assert_close(y.amax(-1), torch.ones(1, 1, 4))


def test_a_pixel_is_magnified_by_the_fan():
    """From below, at a distance of 40 to a detector 60 behind the centre, (3, 6) is seen at 3 (40 + 60) / (40 + 6)."""
    x = torch.zeros(1, 1, 21, 21)
    x[0, 0, 4, 13] = 1
    beam = FanBeam2D(torch.zeros(1), (1, 21, 21), 40.0, 60.0, n_detectors=801, detector_pitch=0.1)
    y = beam(x)[0, 0, 0]
    middle = (y * beam.detector_pitch * (torch.arange(801) - 400)).sum() / y.sum()
    assert abs(middle - 3 * 100 / 46) < 0.02


def test_a_far_source_is_a_parallel_beam():
    angles = uniform_angles(7)
    x = torch.rand(1, 1, 24, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parallel = ParallelBeam2D(angles.double(), (1, 24, 30), n_detectors=45)
    fan = FanBeam2D(angles.double(), (1, 24, 30), 1e8, 0.0, n_detectors=45)
    torch.testing.assert_close(fan(x), parallel(x), rtol=1e-5, atol=1e-5)


def test_axis_aligned_views_are_sums_of_rows_and_columns():
    x = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    y = ParallelBeam2D(torch.tensor([0.0, math.pi / 2]), (3, 6, 6), n_detectors=6, pixel_size=0.5, detector_pitch=0.5)(
        x
    )
    torch.testing.assert_close(y[:, :, 0], 0.5 * x.sum(-2))
    torch.testing.assert_close(y[:, :, 1], 0.5 * x.sum(-1).flip(-1))


@pytest.mark.parametrize("pitch", [0.5, 1.0])
def test_mass_is_kept_by_every_view(pitch):
    x = draw_ellipses(BODIES, (96, 96))
    mass = ParallelBeam2D(golden_angles(40), (1, 96, 96), detector_pitch=pitch)(x).sum(-1) * pitch
    assert ((mass - x.sum()).abs() < 5e-3 * x.sum()).all()


def test_angles_are_periodic_and_half_a_turn_flips():
    angles = golden_angles(9).double()
    x = torch.rand(1, 1, 15, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    beam = ParallelBeam2D(angles, (1, 15, 12))
    torch.testing.assert_close(beam(x, angles=angles[None] - 2 * math.pi), beam(x))
    torch.testing.assert_close(beam(x, angles=angles[None] + math.pi).flip(-1), beam(x))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (8, 3), (31, 32)])
@pytest.mark.parametrize("batch", [1, 3, 8, 21])
@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_compiled_code_follows_the_plain_rule(size, batch, kind, monkeypatch):
    """Both directions, any number of images, sizes odd, even and one, in double precision."""
    angles = (torch.rand(5, generator=torch.Generator().manual_seed(1)) * 9 - 4).double()
    if kind == "parallel":
        beam = ParallelBeam2D(angles, (1, *size), 67, 0.7, detector_offset=0.4)
    else:
        beam = FanBeam2D(angles, (1, *size), 40.0, 7.0, n_detectors=95, detector_pitch=0.8, pixel_size=1.1)
    x = torch.rand(batch, 1, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = torch.rand(batch, *beam.measurement_shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    compiled = beam(x), beam.adjoint(y)
    monkeypatch.setattr(_compiled, "can_compile", lambda _: False)
    plain = beam(x), beam.adjoint(y)
    torch.testing.assert_close(compiled, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("make", BEAMS.values(), ids=BEAMS)
def test_the_pair_is_exact(make):
    beam = make()
    assert beam.adjoint_error() < 1e-7
    assert beam.double().adjoint_error() < 1e-15


def test_the_number_of_threads_changes_nothing():
    beam = ParallelBeam2D(uniform_angles(11), (1, 40, 33))
    x = torch.rand(9, 1, 40, 33, generator=torch.Generator().manual_seed(0))
    y = beam(x)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(beam(x), y)
        several = beam.adjoint(y)
        torch.set_num_threads(1)
        assert torch.equal(beam.adjoint(y), several)
    finally:
        torch.set_num_threads(threads)


SMALL = {
    "parallel": lambda angles, **k: ParallelBeam2D(angles, (1, 7, 8), 14, **k),
    "fan": lambda angles, **k: FanBeam2D(angles, (1, 7, 8), 13.0, 4.0, 18, **k),
    "parallel 3D": lambda angles, **k: ParallelBeam3D(angles, (1, 2, 7, 8), 14, **k),
    "cone": lambda angles, **k: ConeBeam3D(angles, (1, 2, 7, 8), 13.0, 4.0, 18, **k),
}


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_each_image_has_angles_and_an_offset_of_its_own(make):
    angles = torch.stack([golden_angles(4), uniform_angles(4, start=0.3), uniform_angles(4, span=-FULL)]).double()
    offsets = torch.tensor([0.0, 0.7, -1.1]).double()
    beam = make(angles, detector_offset=offsets)
    x = torch.rand(3, *beam.image_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.rand(3, *beam.measurement_shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for i in range(3):
        alone = make(angles[i], detector_offset=offsets[i])
        torch.testing.assert_close(beam(x)[i : i + 1], alone(x[i : i + 1]))
        torch.testing.assert_close(beam.adjoint(y)[i : i + 1], alone.adjoint(y[i : i + 1]))


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("name", ["angles", "detector_offset"])
def test_gradients_of_the_geometry_are_differences(make, name):
    """Away from where a ray crosses the centre of a pixel, where the interpolation has a kink."""
    beam = make(torch.tensor([0.13, 0.9, 2.2]).double(), detector_offset=torch.tensor(0.21).double())
    x = torch.rand(1, *beam.image_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.rand(1, *beam.measurement_shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    value = getattr(beam, name).clone().requires_grad_()
    (beam(x, **{name: value}) * weights).sum().backward()
    direction = torch.rand(value.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    near = [(beam(x, **{name: value.detach() + step * direction}) * weights).sum() for step in (1e-7, -1e-7)]
    torch.testing.assert_close((value.grad * direction).sum(), (near[0] - near[1]) / 2e-7, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ParallelBeam2D(uniform_angles(10), (1, 400, 300)),
        lambda: ParallelBeam2D(uniform_angles(256), (1, 256, 256)),
        lambda: FanBeam2D(uniform_angles(20, span=FULL), (1, 300, 300), 400.0, 100.0),
        lambda: ParallelBeam3D(uniform_angles(10), (1, 20, 80, 100)),
        lambda: ConeBeam3D(uniform_angles(10, span=FULL), (1, 40, 60, 70), 80.0, 40.0, row_pitch=2.0),
    ],
    ids=["few views", "many views", "fan", "parallel 3D", "cone"],
)
def test_memory_is_below_three_times_image_and_sinogram(make):
    """What numpy allocates, where all but the results lies, and the result."""
    beam = make()
    x = torch.rand(1, *beam.image_shape)
    y = beam(x)
    beam.adjoint(y)
    for call, result in ((lambda: beam(x), y), (lambda: beam.adjoint(y), x)):
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert x.nbytes < peak
        assert peak + result.nbytes < 3 * (x.nbytes + y.nbytes)


LARGER = {
    "parallel": lambda rows: ParallelBeam2D(uniform_angles(16), (1, rows, 128)),
    "fan": lambda rows: FanBeam2D(uniform_angles(16, span=FULL), (1, rows, 128), 900.0, 400.0),
    "parallel 3D": lambda rows: ParallelBeam3D(uniform_angles(4), (1, rows, 64, 64)),
    "cone": lambda rows: ConeBeam3D(uniform_angles(4, span=FULL), (1, rows, 64, 64), 180.0, 90.0, row_pitch=2.0),
}


@pytest.mark.parametrize("make", LARGER.values(), ids=LARGER)
def test_memory_of_the_plain_rule_grows_by_less_than_three_times_image_and_sinogram(make, monkeypatch):
    """Besides a workspace of fixed size."""
    monkeypatch.setattr(_compiled, "can_compile", lambda _: False)
    monkeypatch.setattr(cone, "can_compile", lambda _: False)
    given, taken = [], []
    for rows in (160, 480):
        beam = make(rows)
        x = torch.rand(2, *beam.image_shape)
        y = beam(x)
        given.append(x.nbytes + y.nbytes)
        taken.append([])
        for call, argument in ((beam, x), (beam.adjoint, y), (beam.fbp, y)):
            with PeakMemory() as memory:
                call(argument)
            taken[-1].append(memory.peak)
    for small, large in zip(*taken, strict=True):
        assert small < 64 * 2**20
        assert 0 < large - small < 3 * (given[1] - given[0])


@uses_forward_mode
def test_geometry_is_calibrated_by_gradients():
    """Shifted detector and a wrong first angle are found again from the sinogram alone, to a hundredth."""
    x = draw_ellipses(BODIES, (48, 48)).double()
    angles = uniform_angles(12).double()
    beam = ParallelBeam2D(angles, (1, 48, 48), n_detectors=80)
    y = beam(x, detector_offset=torch.tensor(1.3).double(), angles=angles[None] + 0.03)
    offset, turn = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for _ in range(6):

        def residual(offset, turn):
            return (beam(x, detector_offset=offset, angles=angles[None] + turn) - y).flatten()

        columns = torch.stack(torch.func.jacfwd(residual, argnums=(0, 1))(offset, turn), dim=1)
        step = torch.linalg.lstsq(columns, -residual(offset, turn)[:, None]).solution[:, 0]
        offset, turn = offset + step[0], turn + step[1]
    assert abs(offset - 1.3) < 0.01
    assert abs(turn - 0.03) < 0.001


def test_default_detectors_see_the_whole_image():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ParallelBeam2D(golden_angles(50), (1, 30, 40)).n_detectors == 50
        assert ParallelBeam2D(golden_angles(50), (1, 30, 40), detector_offset=-3.0).n_detectors == 56
        assert FanBeam2D(golden_angles(50), (1, 30, 40), 40.0, 60.0).n_detectors == math.ceil(
            5000 / math.sqrt(40**2 - 25**2)
        )


class TestBadInput:
    def test_degrees_for_radians(self):
        with pytest.warns(UserWarning, match=r"radians and got one of 179, .* wellposed.data.degrees"):
            ParallelBeam2D(torch.arange(180.0), (1, 8, 8))

    def test_detector_smaller_than_the_shadow(self):
        """The corners of a square of 32 reach sqrt(2) 16 = 22.63 from the centre, the detector 16."""
        with pytest.warns(UserWarning, match=r"is 13.25 wider than the detector, 32 elements of 1 "):
            ParallelBeam2D(torch.tensor([math.pi / 4]), (1, 32, 32), n_detectors=32)
        with pytest.warns(UserWarning, match="is 13.25 wider than the detector, 64 elements of 0.5 "):
            ParallelBeam2D(torch.tensor([math.pi / 4]), (1, 32, 32), n_detectors=64, detector_pitch=0.5)

    def test_source_inside_the_object(self):
        with pytest.raises(ArgumentError, match=r"a source at 20 from the centre is inside the image.* 23.6"):
            FanBeam2D(uniform_angles(4), (1, 32, 32), 20.0, 20.0)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_angles_that_are_not_finite(self, value):
        with pytest.raises(ArgumentError, match="expects finite angles"):
            ParallelBeam2D(torch.tensor([0.0, value]), (1, 8, 8))

    def test_wrong_layouts(self):
        beam = ParallelBeam2D(uniform_angles(5), (1, 8, 8))
        with pytest.raises(ShapeError, match=r"ParallelBeam2D expects measurements of shape \(B, 1, 5, 12\)"):
            beam.adjoint(torch.zeros(1, 1, 12, 5))
        with pytest.raises(ShapeError, match="expects angles of shape"):
            ParallelBeam2D(torch.zeros(1, 2, 3), (1, 8, 8))
        with pytest.raises(ShapeError, match="image shape"):
            ParallelBeam2D(uniform_angles(5), (8, 8))
        with pytest.raises(ShapeError, match=r"one per view \(B or 1, 5\); got shape \(1, 4\)"):
            ParallelBeam2D(uniform_angles(5), (1, 8, 8), detector_offset=torch.zeros(1, 4))

    def test_sizes_that_make_no_sense(self):
        for wrong in ({"detector_pitch": 0.0}, {"pixel_size": -1.0}, {"pixel_size": math.nan}, {"n_detectors": 0}):
            with pytest.raises(ArgumentError, match=f"expects {next(iter(wrong))} to be"):
                ParallelBeam2D(uniform_angles(5), (1, 8, 8), **wrong)
        with pytest.raises(ArgumentError, match="detector_distance"):
            FanBeam2D(uniform_angles(5), (1, 8, 8), 20.0, -1.0)

    def test_angles_that_are_no_tensor(self):
        with pytest.raises(DTypeError, match="angles"):
            ParallelBeam2D([0.0, 1.0], (1, 8, 8))


def test_one_view_and_an_empty_image():
    beam = ParallelBeam2D(limited_angles(2, span=0.5)[:1], (1, 8, 8))
    assert torch.equal(beam(torch.zeros(1, 1, 8, 8)), torch.zeros(1, 1, 1, 12))
    assert torch.equal(beam.fbp(torch.zeros(1, 1, 1, 12)), torch.zeros(1, 1, 8, 8))
