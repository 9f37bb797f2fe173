"""`wellposed doctor`: every operator examined, or those that the user wrote."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wellposed.cli._checks import checked_device
from wellposed.cli._options import Device, Quiet
from wellposed.cli._screen import progress, say, show
from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name

if TYPE_CHECKING:
    from rich.table import Table

    from wellposed.operators import LinearOperator
    from wellposed.verbs.doctor import Report

__all__ = ["doctor"]


def doctor(
    operators: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODULE:OBJECT]...",
            help="Operators, or functions without arguments that return one, from modules that can be imported from "
            "here; by default all of wellposed's own.",
        ),
    ] = None,
    device: Device = "cpu",
    *,
    quiet: Quiet = False,
) -> None:
    """Examine operators: shapes, norm, adjoint in single and double precision, gradients. Exit code 1 if any is off."""
    from wellposed.operators.examples import EXAMPLES
    from wellposed.verbs.doctor import examine

    where = checked_device(device)
    makers: dict[str, Callable[[], LinearOperator]] = {name: _maker(name) for name in operators or ()} or dict(EXAMPLES)
    reports = []
    with progress("examining", len(makers), quiet=quiet) as update:
        for name, make in makers.items():
            reports.append(examine(make().to(where), name=name))
            update(len(reports), len(makers))
    show(_table(reports), quiet=quiet)
    for report in reports:
        for problem in report.problems:
            say(f"{report.name}: {problem}", quiet=quiet)
    if not all(report.healthy for report in reports):
        raise typer.Exit(1)


def _maker(target: str) -> Callable[[], LinearOperator]:
    """Return a function that gives the operator `module:object`.

    Raises
    ------
    ArgumentError
        If the module cannot be imported, or the object is no operator.
    UnknownNameError
        If the module has no such object.
    """
    from wellposed.operators import LinearOperator

    module_name, colon, name = target.partition(":")
    if not (colon and name and _is_module(module_name)):
        raise ArgumentError(
            f"doctor expects module:object, such as mymodule:my_operator for the file mymodule.py here, got {target!r}."
        )
    with _users_code(target, "import"):
        module = importlib.import_module(module_name)
    value: Any = getattr(module, check_name(f"object of {module_name}", name, vars(module), hint="Check its name."))
    if not isinstance(value, LinearOperator) and callable(value):
        with _users_code(target, "call"):
            value = value()
    if not isinstance(value, LinearOperator):
        raise ArgumentError(
            f"{target} is or returns an object of type {type(value).__name__}: doctor expects a LinearOperator, or a "
            "function without arguments that returns one."
        )
    if "_modules" not in vars(value):
        raise ArgumentError(
            f"{target} is not initialised: let its constructor call super().__init__(image_shape, measurement_shape)."
        )
    return lambda: value


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split(".")) and not name.endswith(".py")


@contextmanager
def _users_code(target: str, action: str) -> Iterator[None]:
    """Run code of the user's from the current folder; whatever goes wrong there is told in one sentence."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ArgumentError(f"the {action} of {target} raised {type(error).__name__}: {error}.") from error
    finally:
        sys.path.remove(folder)


def _table(reports: list[Report]) -> Table:
    from rich.table import Table

    from wellposed.core.shapes import shape_text

    table = Table("operator", "image", "measurements", title="operators")
    for column in ("norm", "adjoint float32", "adjoint float64"):
        table.add_column(column, justify="right")
    table.add_column("gradients")
    table.add_column("")
    for report in reports:
        numbers = (
            _text(report.norm, ".3f"),
            _text(report.adjoint_error_float32, ".0e"),
            _text(report.adjoint_error_float64, ".0e"),
        )
        shapes = shape_text(report.image_shape), shape_text(report.measurement_shape)
        verdict = "[green]ok[/]" if report.healthy else "[bold red]off[/]"
        table.add_row(report.name, *shapes, *numbers, ", ".join(report.gradients) or "-", verdict)
    return table


def _text(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)
