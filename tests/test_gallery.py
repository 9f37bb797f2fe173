"""The examples of the gallery run, a few steps of them on tiny images, and leave a table and a picture."""

import math

import pytest
import torch

from docs.gallery import cryo_em, denoising_without_truth, fine_tuning, mri_without_truth, single_photons
from wellposed.models import ArtifactRemoval, DenoiserTiny, save_model

pytest.importorskip("accelerate")


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_denoising_without_truth(tmp_path, family):
    scores = denoising_without_truth.main(["--small", "--noise", family, "--out", str(tmp_path)])
    assert len(scores) == 7
    finished(tmp_path, f"denoising-without-truth-{family}", scores.values())


def test_cryo_em(tmp_path):
    scores = cryo_em.main(["--small", "--out", str(tmp_path)])
    (blurred,) = (score for name, score in scores.items() if name.startswith("best blur"))
    assert blurred > max(0.8, scores["single frame"])
    finished(tmp_path, "cryo-em", scores.values())


def test_ranks_become_gaussian_and_keep_their_order():
    image = torch.rand(1, 1, 50, 40, generator=torch.Generator().manual_seed(0)) ** 4
    ranks = cryo_em._gaussian_ranks(image)
    assert torch.equal(ranks.flatten().argsort(), image.flatten().argsort())
    moments = [float((ranks**power).mean()) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.05)


def test_an_average_without_a_frame_has_nothing_of_its_noise():
    clean, noise, others = (
        torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in range(3)
    )
    clean = torch.nn.functional.avg_pool2d(clean, 15, stride=1, padding=7)
    average = clean + 0.25 * noise + 0.3 * others
    rest = cryo_em._without(clean + noise, average)
    assert abs(float((rest * noise).mean())) < 0.01
    assert float((average * noise).mean()) == pytest.approx(0.25, abs=0.02)


def test_mri_without_truth(tmp_path):
    scores = mri_without_truth.main(["--small", "--out", str(tmp_path)])
    assert list(scores)[:2] == ["supervised", "splitting"]
    assert scores["supervised"][0] == pytest.approx(scores["multi-operator"][0], abs=0.05)
    assert scores["supervised"][0] != pytest.approx(scores["equivariant"][0], abs=0.05)
    finished(tmp_path, "mri-without-truth", [score for pair in scores.values() for score in pair])


def test_the_other_masks_of_multi_operator_imaging_are_drawn_for_each_image():
    draw = mri_without_truth.other_masks(torch.zeros(4, 1, 24, 24, dtype=torch.complex64))
    masks = draw(3, torch.Generator().manual_seed(0)).mask[:, 0, 0]
    assert masks.sum(1).tolist() == [6, 6, 6]
    assert len(masks.unique(dim=0)) == 3


def test_fine_tuning(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(tmp_path / "m.safetensors", ArtifactRemoval(DenoiserTiny(channels=3, widths=(4, 8), blocks=1)))
    model = str(tmp_path / "m.safetensors")
    table = fine_tuning.main(["--small", "--model", model, "--out", str(tmp_path)])
    assert list(table) == [("demosaicing", "synthetic"), ("compressed sensing", "synthetic")]
    finished(tmp_path, "fine-tuning", [value for row in table.values() for value in row])


def test_the_sine_transform_is_its_own_inverse():
    physics = fine_tuning.compressed_sensing((3, 16, 12))
    assert physics.operator.adjoint_error() < 1e-5
    assert float(physics.operator.norm()) == pytest.approx(1, abs=1e-3)
    share = float((physics.operator.outer.mask != 0).float().mean())
    assert share == pytest.approx(0.25, abs=0.05)


def test_single_photons(tmp_path):
    scores = single_photons.main(["--small", "--out", str(tmp_path)])
    assert scores["total variation"] > scores["as measured"] + 3
    finished(tmp_path, "single-photons", scores.values())


def test_without_data_an_example_asks_for_them(capsys):
    with pytest.raises(SystemExit):
        cryo_em.main([])
    assert "--data" in capsys.readouterr().err


def finished(folder, name, values):
    assert all(math.isfinite(value) for value in values)
    assert (folder / f"{name}.md").read_text(encoding="utf-8").startswith("| ")
    assert (folder / f"{name}.png").stat().st_size > 5000
