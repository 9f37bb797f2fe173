"""The logs of a training run: tables in CSV, and TensorBoard's files where it is installed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, final

from torch import Tensor

from wellposed.core.files import atomic_path

__all__ = ["Journal", "Table"]


@final
class Table:
    """A CSV file with one row at a time; the first column is the step.

    Parameters
    ----------
    path : Path
    columns : iterable of str
    start : int
        The step at which the run begins; rows of later steps are cut.
    """

    def __init__(self, path: Path, columns: Iterable[str], *, start: int) -> None:
        self._path = path
        self._columns = ["step", *columns]
        kept = [row for row in _rows(path) if row["step"].isdigit() and int(row["step"]) <= start] if start else []
        with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(kept)

    def add(self, values: Mapping[str, Any]) -> None:
        """Append a row; numbers are written as short as they can be read back."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(values)


@final
class Journal:
    """`train.csv`, `validation.csv` and, if TensorBoard is installed and wanted, its logs.

    Parameters
    ----------
    folder : Path
    problems, validation : iterable of str
        Names of the problems.
    start : int
        The step at which the run begins; what was logged after it is cut.
    tensorboard : bool
    """

    def __init__(
        self, folder: Path, problems: Iterable[str], validation: Iterable[str], *, start: int, tensorboard: bool
    ) -> None:
        measured = ("minutes", "learning_rate", "gradient_norm", "crops_per_second", "loss")
        self._train = Table(folder / "train.csv", [*measured, *(f"loss/{name}" for name in problems)], start=start)
        self._validation = Table(
            folder / "validation.csv", ["minutes", "psnr", *(f"psnr/{name}" for name in validation)], start=start
        )
        self._board: Any = None
        if tensorboard and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1 if start else None)

    def train(self, step: int, values: Mapping[str, float]) -> None:
        """Log what the last steps brought."""
        self._train.add({"step": step, **values})
        self._draw("train", step, values)

    def validation(self, step: int, values: Mapping[str, float], panels: Mapping[str, Tensor]) -> None:
        """Log a validation, with pictures (3, H, W) by name for TensorBoard."""
        self._validation.add({"step": step, **values})
        self._draw("validation", step, values)
        if self._board is not None:
            for name, panel in panels.items():
                self._board.add_image(f"validation/{name}", panel, step)
            self._board.flush()

    def close(self) -> None:
        """Write what TensorBoard still holds."""
        if self._board is not None:
            self._board.close()

    def _draw(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]
