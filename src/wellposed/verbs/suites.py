"""Suites: which tasks on which data by which methods a report compares, and the figures published beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from wellposed.data import LUNG_WINDOW, TASKS
from wellposed.verbs.reconstruct import METHODS, SLOW

__all__ = ["DATASETS", "SUITES", "Case", "Dataset", "Published", "Suite", "suite_of_folder"]


@dataclass(frozen=True)
class Dataset:
    """A folder of pictures.

    Parameters
    ----------
    name : str
    title : str
        For a reader of the report.
    folder : str
        Below the root of all data.
    scale, offset : float
        What values are multiplied by, and what is added then; the result is clipped to [0, 1].
    """

    name: str
    title: str
    folder: str
    scale: float = 1.0
    offset: float = 0.0

    def fitted(self, x: Tensor) -> Tensor:
        """Return a picture of the folder as the image in [0, 1] that it stands for."""
        return (x * self.scale + self.offset).clamp(0, 1)


@dataclass(frozen=True)
class Published:
    """A figure from a paper, measured there and not by us.

    Parameters
    ----------
    method : str
    psnr : float
    ssim : float or None
    data : str
        The images that it was measured on, which may not be ours.
    source : str
    """

    method: str
    psnr: float
    ssim: float | None
    data: str
    source: str


@dataclass(frozen=True)
class Case:
    """A task on a data set, and what is published about it.

    Parameters
    ----------
    task, data : str
    published : tuple of Published
    margin : int
        How many pixels along each border the scores leave out.
    """

    task: str
    data: str
    published: tuple[Published, ...] = ()
    margin: int = 0


@dataclass(frozen=True)
class Suite:
    """What `evaluate_suite` runs: every case by every method.

    Parameters
    ----------
    name, summary : str
    cases : tuple of Case
    methods : tuple of str
        Names in `METHODS`.
    datasets : tuple of Dataset
        Those that the cases name.
    """

    name: str
    summary: str
    cases: tuple[Case, ...]
    methods: tuple[str, ...]
    datasets: tuple[Dataset, ...]

    def dataset(self, name: str) -> Dataset:
        """Return the data set of that name."""
        return next(dataset for dataset in self.datasets if dataset.name == name)


def suite_of_folder(task: str, folder: Path, *, margin: int = 0) -> Suite:
    """Return the suite of all methods but slow ones on one task over a folder; its root is what holds that folder."""
    dataset = Dataset(folder.resolve().name, "", folder.resolve().name)
    methods = tuple(method for method in METHODS if method not in SLOW)
    return Suite(task, "", (Case(task, dataset.name, margin=margin),), methods, (dataset,))


_LOWEST, _HIGHEST = LUNG_WINDOW
_LEAST, _WHITE = -1024, 65535
"""The Hounsfield units of value 0 in the files of slices, and their largest value."""

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset("cbsd68", "CBSD68, 68 colour photographs", "test/cbsd68"),
        Dataset("set12", "Set12, 12 grey pictures", "test/set12_gray"),
        Dataset(
            "ct",
            "17 CT slices of 9 patients (TCGA), lung window",
            "medical/ct_tcga/test",
            scale=_WHITE / (_HIGHEST - _LOWEST),
            offset=(_LEAST - _LOWEST) / (_HIGHEST - _LOWEST),
        ),
        Dataset("cardiac", "20 cardiac MRI slices", "medical/mri_cardiac/test"),
    )
}
"""The test sets, by name."""

_SOURCE = "Terris et al., arXiv:2503.08915"
_FAST_MRI, _LIDC, _SAME = "fastMRI validation", "LIDC-IDRI test", "CBSD68"

# Table 1, CBSD68: PSNR of motion easy, medium, hard, then Gaussian easy, medium, hard.
_BLUR_TASKS = tuple(f"{blur}-{level}" for blur in ("motion", "gaussian") for level in ("easy", "medium", "hard"))
_TABLE_1 = {
    "RAM (36 M)": (34.04, 28.22, 25.64, 32.59, 26.19, 23.42),
    "DPIR (32 M)": (33.45, 26.53, 24.42, 32.10, 25.70, 22.73),
    "uDPIR tied (32 M)": (33.78, 28.20, 25.61, 31.90, 26.10, 23.41),
}
# Table 2, left: PSNR and SSIM.
_TABLE_2: dict[str, dict[str, tuple[float, float | None]]] = {
    "RAM (36 M)": {
        "mri-x4": (34.39, 0.853),
        "mri-x8": (31.50, 0.813),
        "ct-51": (28.83, 0.798),
        "sr4-clean": (26.04, None),
        "sr4": (25.47, None),
    },
    "DPIR (32 M)": {
        "mri-x4": (30.54, 0.784),
        "mri-x8": (25.28, 0.661),
        "sr4-clean": (25.67, None),
        "sr4": (25.59, None),
    },
    "uDPIR tied (32 M)": {"mri-x4": (34.14, 0.851), "mri-x8": (30.86, 0.805), "ct-51": (28.35, 0.779)},
}
_PUBLISHED_ON = {"mri-x4": _FAST_MRI, "mri-x8": _FAST_MRI, "ct-51": _LIDC, "sr4-clean": _SAME, "sr4": _SAME}


def _published(task: str) -> tuple[Published, ...]:
    """Return what tables 1 and 2 of the paper say about a task."""
    figures = []
    if task in _BLUR_TASKS:
        column = _BLUR_TASKS.index(task)
        for method, row in _TABLE_1.items():
            figures.append(Published(method, row[column], None, _SAME, f"{_SOURCE}, table 1"))
    for method, entries in _TABLE_2.items():
        if task in entries:
            figures.append(Published(method, *entries[task], _PUBLISHED_ON[task], f"{_SOURCE}, table 2"))
    return tuple(figures)


def _margin(task: str) -> int:
    """Return what a valid blur of 31 x 31 pixels does not measure in full, along each border."""
    return 15 if task in _BLUR_TASKS else 0


_PHOTOGRAPHS = (
    *_BLUR_TASKS,
    "sr4-clean",
    "sr4",
    "denoise-medium",
    "denoise-0.1",
    "denoise-hard",
    "inpaint-50",
    "demosaic",
)
_CASES = (
    *((task, "cbsd68") for task in _PHOTOGRAPHS),
    *((f"denoise-{sigma}", "set12") for sigma in (15, 25, 50)),
    ("ct-51", "ct"),
    ("mri-x4", "cardiac"),
    ("mri-x8", "cardiac"),
)

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "papers",
            "restoration, CT and MRI, as in the tables of the RAM paper",
            tuple(Case(task, data, _published(task), _margin(task)) for task, data in _CASES if task in TASKS),
            ("adjoint", "pinv", "tv", "dpir", "ram"),
            tuple(DATASETS.values()),
        ),
    )
}
"""The suites, by name."""
