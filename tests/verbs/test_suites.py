"""Suites: what they hold, what is published beside them, and that they can be run."""

import pytest
import torch

import wellposed as wp
from wellposed.data import TASKS
from wellposed.verbs.reconstruct import METHODS
from wellposed.verbs.suites import DATASETS, SUITES, suite_of_folder


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_a_suite_names_what_there_is(suite):
    assert {case.task for case in suite.cases} <= set(TASKS)
    assert set(suite.methods) <= set(METHODS)
    assert {case.data for case in suite.cases} <= {dataset.name for dataset in suite.datasets}
    assert len(set(suite.cases)) == len(suite.cases)


def test_the_paper_is_quoted_as_it_stands():
    """Tables 1 and 2 of arXiv:2503.08915: RAM on CBSD68, on fastMRI, and DPIR."""
    figures = {
        (case.task, figure.method): (figure.psnr, figure.ssim, figure.data)
        for case in SUITES["papers"].cases
        for figure in case.published
    }
    assert [figures[f"motion-{level}", "RAM (36 M)"][0] for level in ("easy", "medium", "hard")] == [
        34.04,
        28.22,
        25.64,
    ]
    assert [figures[f"gaussian-{level}", "RAM (36 M)"][0] for level in ("easy", "medium", "hard")] == [
        32.59,
        26.19,
        23.42,
    ]
    assert figures["gaussian-hard", "DPIR (32 M)"] == (22.73, None, "CBSD68")
    assert figures["motion-medium", "uDPIR tied (32 M)"] == (28.20, None, "CBSD68")
    assert figures["mri-x8", "RAM (36 M)"] == (31.50, 0.813, "fastMRI validation")
    assert figures["sr4-clean", "RAM (36 M)"] == (26.04, None, "CBSD68")
    assert figures["sr4", "DPIR (32 M)"] == (25.59, None, "CBSD68")


def test_a_folder_is_a_suite_of_all_methods_but_slow_ones(tmp_path):
    (tmp_path / "mine").mkdir()
    suite = suite_of_folder("sr4", tmp_path / "mine")
    assert [(case.task, case.data) for case in suite.cases] == [("sr4", "mine")]
    assert suite.methods == tuple(method for method in METHODS if method != "dip")
    assert suite.dataset("mine").folder == "mine"


def test_slices_of_tomography_are_shown_in_the_lung_window():
    """Files hold HU + 1024 in 16 bits; -1200 to 800 HU become 0 to 1, as in the paper's appendix A."""
    raw = torch.tensor([0, 24, 1024, 1824, 4095]) / 65535
    expected = wp.data.hounsfield_to_unit(torch.tensor([-1024.0, -1000, 0, 800, 3071]))
    torch.testing.assert_close(DATASETS["ct"].fitted(raw), expected)
