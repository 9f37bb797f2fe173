"""What a suite gave: a file that grows while it runs, and that the next run continues."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from wellposed.core.errors import ArgumentError, FormatError
from wellposed.core.files import atomic_path, existing_file
from wellposed.verbs._json import finite

__all__ = ["Cell", "Row", "SuiteReport", "WeightsUsed", "read_report", "write_report"]

_FORMAT = "wellposed evaluation"
_VERSION = 1


@dataclass(frozen=True)
class Row:
    """The scores of one image.

    Parameters
    ----------
    image : str
        The name of its file.
    size : int
        Of its file, in bytes, by which a changed picture is noticed.
    psnr, ssim : float
    seconds : float
        Its share of what its batch took.
    """

    image: str
    size: int
    psnr: float
    ssim: float
    seconds: float


@dataclass(frozen=True)
class WeightsUsed:
    """The weights that a method used: megabytes (10^6) of their file, and its SHA-256."""

    name: str
    megabytes: float
    sha256: str


@dataclass(frozen=True)
class Cell:
    """One method on one case.

    Parameters
    ----------
    task, data, method : str
    rows : tuple of Row
    reason : str or None
        Why there are no scores, where the method cannot do the task.
    weights : tuple of WeightsUsed
    machine : str
        Where it ran, for the seconds.
    margin : int
        How many pixels along each border the scores leave out.
    library : str
        The version of wellposed.
    """

    task: str
    data: str
    method: str
    rows: tuple[Row, ...] = ()
    reason: str | None = None
    weights: tuple[WeightsUsed, ...] = ()
    machine: str = ""
    margin: int = 0
    library: str = field(default_factory=lambda: version("wellposed"))

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other cells."""
        return self.task, self.data, self.method

    def mean(self) -> dict[str, float] | None:
        """Return the means of psnr, ssim and seconds over the images, or None where there are no scores."""
        if self.reason is not None or not self.rows:
            return None
        return {name: fmean(getattr(row, name) for row in self.rows) for name in ("psnr", "ssim", "seconds")}


@dataclass(frozen=True)
class SuiteReport:
    """The cells of a suite, for one seed."""

    suite: str
    seed: int
    cells: tuple[Cell, ...] = ()

    def cell(self, task: str, data: str, method: str) -> Cell | None:
        """Return the cell of a method on a case, if there is one."""
        return next((cell for cell in self.cells if cell.key == (task, data, method)), None)

    def with_cell(self, cell: Cell) -> SuiteReport:
        """Return the report with a cell added, or in place of that of the same case and method."""
        cells = {known.key: known for known in self.cells} | {cell.key: cell}
        return replace(self, cells=tuple(cells.values()))

    def to_json(self) -> str:
        """Return everything as JSON; an infinite PSNR is null there."""
        head = {"format": _FORMAT, "version": _VERSION, "suite": self.suite, "seed": self.seed, "data_range": 1.0}
        cells = [{**asdict(cell), "mean": cell.mean()} for cell in self.cells]
        return json.dumps(finite({**head, "cells": cells}), indent=1, allow_nan=False) + "\n"


def write_report(path: Path, report: SuiteReport) -> None:
    """Write a report, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(report.to_json(), encoding="utf-8")


def read_report(path: str | Path, *, suite: str | None = None, seed: int | None = None) -> SuiteReport:
    """Read what `write_report` wrote.

    Parameters
    ----------
    path : str or Path
    suite, seed : optional
        What the report must be of.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it holds anything else.
    ArgumentError
        If it is of another suite or seed.
    """
    path = existing_file(path)
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        if whole["format"] != _FORMAT or whole["version"] != _VERSION:
            raise FormatError(f"{path} is an evaluation of another version of wellposed: choose another file.")
        report = SuiteReport(whole["suite"], whole["seed"], tuple(_cell(cell) for cell in whole["cells"]))
    except (ValueError, LookupError, TypeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} holds no evaluation of a suite, or is damaged: choose another file.") from error
    wanted = (report.suite if suite is None else suite, report.seed if seed is None else seed)
    if (report.suite, report.seed) != wanted:
        raise ArgumentError(
            f"{path} holds the suite {report.suite!r} with seed {report.seed}, "
            f"not {wanted[0]!r} with seed {wanted[1]}: choose another file."
        )
    return report


def _cell(entry: dict[str, Any]) -> Cell:
    entry = {name: value for name, value in entry.items() if name != "mean"}
    rows: Iterable[dict[str, Any]] = entry.pop("rows")
    weights: Iterable[dict[str, Any]] = entry.pop("weights")
    return Cell(
        rows=tuple(Row(**{**row, "psnr": math.inf if row["psnr"] is None else row["psnr"]}) for row in rows),
        weights=tuple(WeightsUsed(**used) for used in weights),
        **entry,
    )
