"""A suite gives the scores of its tasks one by one, can be interrupted and continued, and says what failed."""

import json
import math

import pytest
import torch

from wellposed.core.errors import ArgumentError, FormatError, ShapeError, UnknownNameError
from wellposed.core.files import MissingFileError
from wellposed.data import list_images, write_image
from wellposed.models import ArtifactRemoval, DenoiserTiny, save_model
from wellposed.verbs import _networks
from wellposed.verbs.evaluate import evaluate
from wellposed.verbs.evaluate_suite import evaluate_suite
from wellposed.verbs.suite_report import Cell, Row, SuiteReport, WeightsUsed, read_report, write_report
from wellposed.verbs.suite_table import markdown_tables
from wellposed.verbs.suites import Case, Dataset, Published, Suite

SUITE = Suite(
    "small",
    "",
    (
        Case("inpaint-50", "wide", (Published("theirs", 30.5, 0.9, "their data", "Them, table 9"),)),
        Case("denoise-hard", "dark"),
    ),
    ("adjoint", "pinv"),
    (Dataset("wide", "three pictures", "a/wide"), Dataset("dark", "", "dark", scale=16.0)),
)


def picture(seed, height=16, width=20):
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(_networks, "FOLDER", tmp_path)
    root = tmp_path / "data"
    (root / "a" / "wide").mkdir(parents=True)
    (root / "dark").mkdir()
    for seed in range(3):
        size = (20, 16) if seed == 1 else (16, 20)
        write_image(root / "a" / "wide" / f"{seed}.npy", picture(seed, *size))
    write_image(root / "dark" / "one.npy", picture(7) / 16)
    return root


def scores(cell):
    return [(row.image, round(row.psnr, 3), round(row.ssim, 4)) for row in cell.rows]


def test_scores_are_those_of_the_tasks_one_by_one_whatever_the_batch(data):
    alone = {method: evaluate("inpaint-50", list_images(data / "a" / "wide"), method) for method in SUITE.methods}
    for batch in (1, 2, 5):
        report = evaluate_suite(SUITE, data, batch=batch)
        assert [cell.key for cell in report.cells] == [
            (case.task, case.data, method) for case in SUITE.cases for method in SUITE.methods
        ]
        for method, result in alone.items():
            assert scores(report.cell("inpaint-50", "wide", method)) == scores(result)


def test_pictures_are_brought_to_their_range(data):
    """The dark picture, 16 times brighter, scores as the bright one of the same name."""
    (row,) = evaluate_suite(SUITE, data, tasks=["denoise-hard"], methods=["adjoint"]).cells[0].rows
    write_image(data / "one.npy", picture(7))
    (expected,) = evaluate("denoise-hard", [data / "one.npy"], "adjoint").rows
    assert (row.psnr, row.ssim) == (pytest.approx(expected.psnr, abs=1e-3), pytest.approx(expected.ssim, abs=1e-4))


def test_margins_are_left_out_and_told(data, tmp_path):
    suite, other = (
        Suite("s", "", (Case("denoise-hard", "wide", margin=margin),), ("adjoint",), SUITE.datasets)
        for margin in (2, 0)
    )
    expected = evaluate("denoise-hard", list_images(data / "a" / "wide"), "adjoint", margin=2)
    report = evaluate_suite(suite, data, path=tmp_path / "out.json")
    assert scores(report.cells[0]) == scores(expected)
    assert "- denoise-hard: without the 2 pixels along each border.\n" in markdown_tables(report, suite)
    whole = evaluate_suite(other, data, path=tmp_path / "out.json")
    assert scores(whole.cells[0]) == scores(evaluate("denoise-hard", list_images(data / "a" / "wide"), "adjoint"))


def test_limit_tasks_methods_and_seed(data):
    report = evaluate_suite(SUITE, data, limit=2, tasks=["inpaint-50"], methods=["pinv"])
    assert [cell.key for cell in report.cells] == [("inpaint-50", "wide", "pinv")]
    assert [row.image for row in report.cells[0].rows] == ["0.npy", "1.npy"]
    other = evaluate_suite(SUITE, data, limit=2, tasks=["inpaint-50"], methods=["pinv"], seed=1)
    assert scores(report.cells[0]) != scores(other.cells[0])


class StoppedError(Exception):
    pass


def test_an_interrupted_run_is_continued_with_the_same_result(data, tmp_path):
    path = tmp_path / "out.json"

    def stop(done, _total):
        if done == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        evaluate_suite(SUITE, data, path=path, callback=stop, batch=1)
    part = read_report(path)
    assert [len(cell.rows) for cell in part.cells] == [3, 1]
    seen = []
    report = evaluate_suite(SUITE, data, path=path, callback=lambda *step: seen.append(step), batch=1)
    whole = evaluate_suite(SUITE, data)
    assert [scores(cell) for cell in report.cells] == [scores(cell) for cell in whole.cells]
    assert report.cells[0] == part.cells[0]
    assert report.cells[1].rows[0] == part.cells[1].rows[0]
    assert read_report(path) == report
    assert seen[-1] == (8, 8)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_quick_look_is_continued_by_the_whole(data, tmp_path):
    path = tmp_path / "out.json"
    quick = evaluate_suite(SUITE, data, path=path, limit=1)
    whole = evaluate_suite(SUITE, data, path=path)
    assert whole.cells[0].rows[0] == quick.cells[0].rows[0]
    assert len(whole.cells[0].rows) == 3


def test_changed_pictures_are_computed_again(data, tmp_path):
    path = tmp_path / "out.json"
    before = evaluate_suite(SUITE, data, path=path, methods=["adjoint"]).cells[0]
    write_image(data / "a" / "wide" / "0.npy", picture(9, 18, 20))
    after = evaluate_suite(SUITE, data, path=path, methods=["adjoint"]).cells[0]
    assert after.rows[0] != before.rows[0]
    assert after.rows[1:] == before.rows[1:]
    assert len(after.rows) == 3


def test_a_method_that_fails_has_a_reason_and_no_number(data, tmp_path):
    """Filtered backprojection is for sinograms, and weights that are not installed cannot denoise."""
    write_image(data / "dark" / "one.npy", picture(7, 40, 40) / 16)
    suite = Suite("s", "", (Case("gaussian-hard", "dark"),), ("fbp", "dpir"), SUITE.datasets)
    path = tmp_path / "out.json"
    report = evaluate_suite(suite, data, path=path)
    fbp, dpir = report.cells
    assert (fbp.rows, fbp.mean()) == ((), None)
    assert "for tomography" in fbp.reason
    assert "'denoiser-tiny-rgb' are not part of this installation" in dpir.reason
    table = markdown_tables(report, suite)
    assert "| gaussian-hard | 0 of dark | - | - |" in table
    assert f"- fbp has no score on gaussian-hard: {fbp.reason}\n" in table
    assert evaluate_suite(suite, data, path=path) == report


def test_new_weights_are_evaluated_anew(data, tmp_path):
    suite = Suite("s", "", (Case("denoise-hard", "dark"),), ("ram",), SUITE.datasets)
    path = tmp_path / "out.json"
    assert evaluate_suite(suite, data, path=path).cells[0].reason is not None
    found = []
    for widths in ((4, 8), (8, 8)):
        save_model(tmp_path / "ram-small.safetensors", ArtifactRemoval(DenoiserTiny(widths=widths, blocks=1)))
        found.append(evaluate_suite(suite, data, path=path).cells[0])
    assert [cell.reason for cell in found] == [None, None]
    assert scores(found[0]) != scores(found[1])
    (used,) = found[1].weights
    assert used.name == "ram-small"
    assert used.megabytes == pytest.approx((tmp_path / "ram-small.safetensors").stat().st_size / 1e6, abs=1e-3)


def test_a_report_is_read_as_it_was_written(tmp_path):
    cell = Cell(
        "sr4",
        "set",
        "ram",
        (Row("a.png", 12, math.inf, 1.0, 0.5), Row("b.png", 13, 20.0, 0.5, 1.5)),
        None,
        (WeightsUsed("ram-small", 18.5, "ab"),),
        "a machine",
    )
    report = SuiteReport("papers", 3, (cell, Cell("sr4", "set", "pinv", reason="no")))
    write_report(tmp_path / "out.json", report)
    assert read_report(tmp_path / "out.json", suite="papers", seed=3) == report
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["cells"][0]["rows"][0]["psnr"] is None


def test_the_table():
    rows = (Row("a", 1, 20.0, 0.5, 0.25), Row("b", 1, 30.0, 0.75, 0.75))
    cells = (
        Cell("inpaint-50", "wide", "adjoint", rows, machine="a machine"),
        Cell("inpaint-50", "wide", "pinv", rows[:1], weights=(WeightsUsed("w", 1.25, "x"),), machine="a machine"),
    )
    assert markdown_tables(SuiteReport("small", 2, cells), SUITE) == (
        "| task | images | adjoint | pinv | *theirs, published* | *published on* |\n"
        "| --- | --- | ---: | ---: | ---: | --- |\n"
        "| inpaint-50 | 2 of wide | 25.00 / 0.625 | 20.00 / 0.500 | *30.50 / 0.900* | *their data* |\n"
        "\n"
        "| method | seconds an image, wide | megabytes of weights |\n"
        "| --- | ---: | ---: |\n"
        "| adjoint | 0.50 | none |\n"
        "| pinv | 0.25 | 1.2 |\n"
        "\n"
        "- wide: three pictures.\n"
        "- Published: Them, table 9.\n"
        "- Measured on a machine, seed 2.\n"
    )


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"suite": "paper"}, UnknownNameError, "unknown suite 'paper'; did you mean 'papers'"),
        ({"tasks": ["sr4"]}, UnknownNameError, "unknown task of the suite small 'sr4'"),
        ({"methods": ["tv"]}, UnknownNameError, "unknown method 'tv'"),
        ({"batch": 0}, ArgumentError, "batch to be a whole number of at least 1"),
        ({"data": "nowhere"}, MissingFileError, "no such folder"),
    ],
)
def test_bad_input(data, options, error, sentence):
    options = {"suite": SUITE, "data": data, **options}
    with pytest.raises(error, match=sentence):
        evaluate_suite(options.pop("suite"), options.pop("data"), **options)


def test_a_picture_that_does_not_fit_is_named(data):
    suite = Suite("s", "", (Case("motion-easy", "wide"),), ("adjoint",), SUITE.datasets)
    with pytest.raises(ShapeError, match=r"^0\.npy: the task motion-easy needs images of at least 31 x 31"):
        evaluate_suite(suite, data)


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ("not json", FormatError, "holds no evaluation of a suite, or is damaged"),
        ("[]", FormatError, "holds no evaluation"),
        ('{"format": "other", "version": 1}', FormatError, "another version"),
        ('{"format": "wellposed evaluation", "version": 2}', FormatError, "another version"),
        ('{"format": "wellposed evaluation", "version": 1, "suite": "small", "seed": 0}', FormatError, "damaged"),
    ],
)
def test_files_of_something_else_are_refused_and_stay(data, tmp_path, text, error, sentence):
    path = tmp_path / "out.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=sentence):
        evaluate_suite(SUITE, data, path=path)
    assert path.read_text(encoding="utf-8") == text


def test_files_of_another_suite_or_seed_are_refused(data, tmp_path):
    write_report(tmp_path / "out.json", SuiteReport("small", 1))
    with pytest.raises(ArgumentError, match="the suite 'small' with seed 1, not 'small' with seed 0: choose another"):
        evaluate_suite(SUITE, data, path=tmp_path / "out.json")
