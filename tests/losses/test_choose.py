"""The loss for fine-tuning follows from noise and operator, as appendix D of RAM says, and the sentence says so."""

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor
from wellposed.core.errors import UnknownNameError, UnsupportedError
from wellposed.losses import (
    R2R,
    SURE,
    UNSURE,
    EquivariantImaging,
    MeasurementConsistency,
    MultiOperatorImaging,
    Neighbor2Neighbor,
    Splitting,
    Sum,
    choose_loss,
)
from wellposed.noise import Gamma, Gaussian, Laplace, NoNoise, Poisson, PoissonGaussian, Rician
from wellposed.operators import Blur, CartesianMRI, Downsample, Identity, Mask
from wellposed.transforms import Reflect, Rotate, Scale, Shift

Y = random_tensor(2, 1, 12, 12).abs()


def chosen(operator, family=None, y=Y, **options):
    return choose_loss(y, wp.Physics(operator, family), **options)


HALF = Mask((random_tensor(1, 1, 12, 12, seed=3) > 0).double())


@pytest.mark.parametrize(
    ("family", "noise", "loss"),
    [
        (NoNoise(), "known", MeasurementConsistency()),
        (Gaussian(0.1), "known", SURE()),
        (Poisson(0.1), "known", SURE()),
        (PoissonGaussian(0.1, 0.1), "known", SURE()),
        (Gamma(5.0), "known", R2R()),
        (Laplace(0.1), "known", Neighbor2Neighbor()),
        (Gaussian(0.1), "unknown", Neighbor2Neighbor()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_noise_decides_about_what_keeps_the_measurements(family, noise, loss):
    choice = chosen(Identity(), family, noise=noise)
    assert choice.loss == loss
    assert choice.why.startswith(type(loss).__name__)
    assert choice.why.endswith("nothing else, as Identity sees the whole image.")


def test_of_an_unknown_level_the_family_remains():
    assert chosen(Identity(), Gaussian(0.3), noise="unknown level").loss.unknown == "level"
    photons = chosen(Identity(), Poisson(0.1), noise="unknown level").loss
    assert isinstance(photons, UNSURE)
    assert photons.unknown == "poisson_gaussian"
    assert photons.start == pytest.approx(float((0.1 * Y).mean()))


def test_an_unsaid_level_starts_at_that_of_the_finest_details():
    noisy = 0.5 + 0.2 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert chosen(Identity(), y=noisy, noise="unknown level").loss.start == pytest.approx(0.04, rel=0.1)


def test_incomplete_measurements_of_unknown_noise_are_split_unless_the_network_only_denoises():
    choice = chosen(HALF, Gaussian(0.1), noise="unknown")
    assert choice.loss.losses[0] == Splitting(compare="kept back")
    assert chosen(HALF, Gaussian(0.1), noise="unknown", denoiser=True).loss.losses[0] == Neighbor2Neighbor()
    volume = wp.Physics(Identity((1, 3, 12, 12)), Gaussian(0.1))
    assert choose_loss(Y[:, :, None].expand(2, 1, 3, 12, 12), volume, noise="unknown").loss == Splitting(
        compare="kept back"
    )


def null_part(choice):
    assert isinstance(choice.loss, Sum)
    assert choice.loss.losses[1].weight == 0.1
    return choice.loss.losses[1].loss


LINES = (torch.arange(12) % 3 == 0).double().expand(1, 1, 12, 12)


def test_one_operator_is_moved_by_what_it_does_not_commute_with():
    """Masks of k-space lines commute with shifts, a box blur with quarter turns too."""
    assert null_part(chosen(HALF, Gaussian(0.1))).transform == Shift(limit=0.1)
    mri = CartesianMRI(LINES, (1, 12, 12))
    assert null_part(chosen(mri, y=torch.complex(Y, Y))).transform == Rotate(order=None)
    box = Blur(torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64), (1, 12, 12), padding="circular")
    assert null_part(chosen(box)).transform == Scale()
    assert null_part(chosen(HALF, transform=Reflect())).transform == Reflect()


def test_several_operators_are_exchanged():
    masks = Mask((random_tensor(2, 1, 12, 12, seed=3) > 0).double())
    assert null_part(chosen(masks)) == MultiOperatorImaging()
    same = Mask(HALF.mask.expand(2, 1, 12, 12).clone())
    assert isinstance(null_part(chosen(same)), EquivariantImaging)
    others = (masks, HALF)
    assert null_part(chosen(HALF, operators=others)).operators == others


def test_an_operator_that_sees_nearly_all_needs_nothing_else():
    almost = torch.ones(1, 1, 12, 12, dtype=torch.float64)
    almost[..., 0, 0] = 0.5
    assert chosen(Mask(almost)).loss == MeasurementConsistency()
    few = almost.clone()
    few[..., :2, :2] = 0
    assert isinstance(chosen(Mask(few)).loss, Sum)
    assert isinstance(chosen(Downsample(2, (1, 24, 24)).double()).loss, Sum)


def test_what_cannot_be_learnt_from_is_refused():
    with pytest.raises(UnsupportedError, match="Rician noise, whose mean is not the clean measurement"):
        chosen(Identity(), Rician(0.1))
    with pytest.raises(UnknownNameError, match="did you mean 'unknown'"):
        chosen(Identity(), noise="unknwn")
