"""Run a suite: every case by every method, image by image, so that it can be interrupted and continued."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from wellposed.core.arguments import check_whole
from wellposed.core.errors import SolverError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.core.names import check_name
from wellposed.data import get_task, list_images, read_image
from wellposed.verbs._networks import bundled_file
from wellposed.verbs.evaluate import in_batches
from wellposed.verbs.measured import Measured, measure, named, recover
from wellposed.verbs.reconstruct import NETWORKS
from wellposed.verbs.suite_report import Cell, Row, SuiteReport, WeightsUsed, read_report, write_report
from wellposed.verbs.suites import SUITES, Case, Suite

__all__ = ["evaluate_suite"]

_CONDITIONS = ("library", "weights", "margin")


def evaluate_suite(
    suite: str | Suite,
    data: str | Path,
    *,
    path: str | Path | None = None,
    tasks: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    batch: int = 4,
    device: torch.device | str = "cpu",
    callback: Callable[[int, int], object] | None = None,
) -> SuiteReport:
    """Score every method of a suite on every case of it.

    A method that cannot do a task, such as a pseudo-inverse that does not converge, has a reason in place of scores.
    The scores of an image are those that `evaluate` gives it, whatever the batch.

    Parameters
    ----------
    suite : str or Suite
    data : str or Path
        The folder that holds the folders of its data sets.
    path : str or Path, optional
        A JSON file that holds the report from the first batch on. What an earlier run left there is kept, if the
        pictures, the weights and the version of wellposed are still the same, and only the rest is computed.
    tasks, methods : sequence of str, optional
        Only these; by default all of the suite.
    limit : int, optional
        Only the first images of each data set, by name.
    seed : int
    batch : int
        Recover so many images of one shape together.
    device : torch.device or str
    callback : callable, optional
        Called as `callback(done, total)` with numbers of reconstructions.

    Returns
    -------
    SuiteReport

    Raises
    ------
    UnknownNameError
        If there is no such suite, or it has no such task or method.
    MissingFileError
        If a data set is not there.
    ArgumentError
        If the file is of another suite or seed.
    WellposedError
        If an image does not fit a task; the sentence names it.
    """
    suite = SUITES[check_name("suite", suite, SUITES)] if isinstance(suite, str) else suite
    check_whole("evaluate_suite", "batch", batch, least=1)
    cases = _chosen_cases(suite, tasks)
    methods = [check_name("method", name, suite.methods) for name in methods or suite.methods]
    pictures = {case.data: list_images(Path(data) / suite.dataset(case.data).folder)[:limit] for case in cases}
    path = None if path is None else Path(path)
    report = SuiteReport(suite.name, seed)
    if path is not None and path.exists():
        report = read_report(path, suite=suite.name, seed=seed)
    total = len(methods) * sum(len(pictures[case.data]) for case in cases)
    done = 0
    for case in cases:
        for method in methods:
            job = _Job(suite, case, method, pictures[case.data], seed, batch, device)
            finished = 0
            for cell in job.run(report.cell(case.task, case.data, method)):
                report = report.with_cell(cell)
                if path is not None:
                    write_report(path, report)
                finished = min(len(cell.rows), len(job.pictures))
                if callback is not None:
                    callback(done + finished, total)
            done += len(job.pictures)
            if callback is not None:
                callback(done, total)
    return report


def _chosen_cases(suite: Suite, tasks: Sequence[str] | None) -> list[Case]:
    if tasks is None:
        return list(suite.cases)
    known = [case.task for case in suite.cases]
    for task in tasks:
        check_name(f"task of the suite {suite.name}", task, known)
    return [case for case in suite.cases if case.task in tasks]


@dataclass(frozen=True)
class _Job:
    """One cell to be filled."""

    suite: Suite
    case: Case
    method: str
    pictures: list[Path]
    seed: int
    batch: int
    device: torch.device | str

    def run(self, known: Cell | None) -> Iterator[Cell]:
        """Yield the cell each time it has grown; what is known already, and still holds, is kept."""
        cell = self._still_valid(known)
        have = {(row.image, row.size) for row in cell.rows}
        missing = [path for path in self.pictures if (path.name, path.stat().st_size) not in have]
        if cell.reason is not None or not missing:
            yield cell
            return
        cell = replace(cell, machine=_machine(torch.device(self.device)))
        sizes = {path.name: path.stat().st_size for path in missing}
        for group in in_batches(self._measured(missing), self.batch):
            images = [image for _, image in group]
            try:
                with named(*(image.name for image in images)):
                    recoveries = recover(images, self.method)
            except (SolverError, UnsupportedError, MissingFileError) as error:
                yield replace(cell, rows=(), reason=str(error.__cause__ or error))
                return
            rows = [
                Row(image.name, sizes[image.name], found.psnr, found.ssim, found.seconds)
                for image, found in zip(images, recoveries, strict=True)
            ]
            cell = replace(cell, rows=tuple(sorted((*cell.rows, *rows), key=lambda row: row.image)))
            yield cell

    def _still_valid(self, known: Cell | None) -> Cell:
        fresh = Cell(
            self.case.task, self.case.data, self.method, weights=_weights(self.method), margin=self.case.margin
        )
        if known is None or any(getattr(known, name) != getattr(fresh, name) for name in _CONDITIONS):
            return fresh
        here = {path.name: path.stat().st_size for path in self.pictures}
        rows = tuple(row for row in known.rows if here.get(row.image, row.size) == row.size)
        return replace(known, rows=rows)

    def _measured(self, paths: list[Path]) -> Iterator[tuple[int, Measured]]:
        task, dataset = get_task(self.case.task), self.suite.dataset(self.case.data)
        for index, path in enumerate(paths):
            with named(path.name):
                x = dataset.fitted(read_image(path)).to(self.device)
                yield index, measure(task, x, name=path.name, seed=self.seed, margin=self.case.margin)


def _weights(method: str) -> tuple[WeightsUsed, ...]:
    """Return the bundled weights that a method uses, those that are there."""
    found = [(name, bundled_file(name)) for name in NETWORKS.get(method, ())]
    return tuple(
        WeightsUsed(name, round(path.stat().st_size / 1e6, 3), _sha256(path, path.stat().st_mtime_ns))
        for name, path in found
        if path is not None
    )


@lru_cache(maxsize=8)
def _sha256(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _machine(device: torch.device) -> str:
    """Describe what computes: the accelerator, or the processor with its threads."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def _processor() -> str:
    description = Path("/proc/cpuinfo")
    if description.exists():
        for line in description.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
