"""What people see: results on stdout, progress on stderr, both of which can be silenced."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

_WIDTH_OF_FILES = 150


def say(text: str, *, quiet: bool = False) -> None:
    """Write a line of results."""
    if not quiet:
        typer.echo(text)


def show(table: Table, *, quiet: bool = False) -> None:
    """Write a table, as wide as the terminal; in a file or a pipe as wide as it needs."""
    from rich.console import Console

    if not quiet:
        Console(width=None if sys.stdout.isatty() else _WIDTH_OF_FILES).print(table)


@contextmanager
def progress(
    title: str, total: int | None = None, *, in_bytes: bool = False, quiet: bool = False
) -> Iterator[Callable[..., None]]:
    """Yield a function that draws how much is done, `update(done, total)`, where people watch: on a terminal.

    A third argument is another title.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn())
    is_hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=is_hidden) as bar:
        line = bar.add_task(title, total=total)

        def update(done: int, total: int | None, title: str | None = None) -> None:
            bar.update(line, completed=done, total=total, description=title)

        yield update
