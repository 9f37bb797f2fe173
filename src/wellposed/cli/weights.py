"""`wellposed weights`: the weights that there are, fetched, converted and verified."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wellposed.cli._checks import check_output
from wellposed.cli._options import Quiet
from wellposed.cli._screen import progress, say, show
from wellposed.core.errors import WellposedError

if TYPE_CHECKING:
    from rich.table import Table

    from wellposed.models.weights import Verified, Weights

__all__ = ["weights"]

_MODEL = "The class of the model, such as DRUNet, for a file that does not name it."

weights = typer.Typer(no_args_is_help=True, help="List, fetch, convert and verify the weights of networks.")


@weights.command("list")
def _list(
    json: Annotated[Path | None, typer.Option(help="Write all that is known of them to this file too.")] = None,
    *,
    quiet: Quiet = False,
) -> None:
    """List the weights by name, and where their files are: with the package, in the cache folder, or to be fetched."""
    from wellposed.core.files import atomic_path
    from wellposed.models.weights import WEIGHTS

    if json is not None:
        check_output(json, suffixes=(".json",))
        with atomic_path(json) as temporary:
            temporary.write_text(_json([_known(entry) for entry in WEIGHTS.values()]), encoding="utf-8")
    show(_table(list(WEIGHTS.values())), quiet=quiet)


@weights.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As 'wellposed weights list' gives them.")],
    *,
    quiet: Quiet = False,
) -> None:
    """Fetch weights into the cache folder, and print where they are. A broken download is continued."""
    from wellposed.models.weights import fetch as fetched
    from wellposed.models.weights.fetching import is_present

    for name in names:
        is_present(name)
    for name in names:
        with progress(f"fetching {name}", in_bytes=True, quiet=quiet) as update:
            path = fetched(name, progress=update)
        say(str(path), quiet=quiet)


@weights.command()
def convert(
    source: Annotated[str, typer.Argument(help="A name, or a published file: .pth, .pth.tar, .safetensors.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors model file to write.")],
    model: Annotated[str | None, typer.Option(help=_MODEL)] = None,
    *,
    quiet: Quiet = False,
) -> None:
    """Write weights as a model file, which says by itself how to build the model."""
    from wellposed.models.weights import convert as converted

    check_output(target, source=Path(source), suffixes=(".safetensors",))
    say(str(converted(source, target, model=model)), quiet=quiet)


@weights.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Names or files; by default all weights whose files are here."),
    ] = None,
    model: Annotated[str | None, typer.Option(help=_MODEL)] = None,
    *,
    quiet: Quiet = False,
) -> None:
    """Check files of weights: checksum, names and shapes of the tensors, no NaN. Exit code 1 if any is off."""
    from wellposed.models.weights import WEIGHTS
    from wellposed.models.weights import verify as verified
    from wellposed.models.weights.fetching import is_present

    found: dict[str, Verified | str] = {}
    for name in names or [name for name in WEIGHTS if is_present(name)]:
        try:
            found[name] = verified(name, model=model)
        except WellposedError as error:
            found[name] = str(error)
    if found:
        show(_verdicts(found), quiet=quiet)
    else:
        say("No weights are here yet: 'wellposed weights fetch NAME' fetches some.", quiet=quiet)
    problems = [problem for problem in found.values() if isinstance(problem, str)]
    for problem in problems:
        say(problem, quiet=quiet)
    if problems:
        raise typer.Exit(1)


def _table(entries: list[Weights]) -> Table:
    from rich.table import Table

    table = Table("name", "model", box=None, pad_edge=False)
    table.add_column("MB", justify="right")
    for column in ("file", "licence"):
        table.add_column(column)
    for entry in entries:
        size = f"{entry.size / 1e6:.1f}" if entry.size else "-"
        table.add_row(entry.name, entry.model, size, _where(entry), entry.licence)
    return table


def _verdicts(found: dict[str, Verified | str]) -> Table:
    from rich.table import Table

    table = Table("weights", "model", "sha256", "", box=None, pad_edge=False)
    for name, result in found.items():
        if isinstance(result, str):
            table.add_row(name, "-", "-", "[bold red]off[/]")
        else:
            table.add_row(name, result.model, f"{result.sha256[:12]}...{_source(name, result)}", "[green]ok[/]")
    return table


def _source(name: str, result: Verified) -> str:
    """Say whose checksum it is, of weights that have a name."""
    from wellposed.models.weights import WEIGHTS

    if name not in WEIGHTS:
        return ""
    return " as in the registry" if result.is_known else " as first seen"


def _where(entry: Weights) -> str:
    from wellposed.models.weights.fetching import is_present

    if entry.is_bundled:
        return "with the package"
    return "in the cache" if is_present(entry.name) else "to be fetched"


def _known(entry: Weights) -> dict[str, Any]:
    return {**asdict(entry), "where": _where(entry)}


def _json(values: list[dict[str, Any]]) -> str:
    import json

    return json.dumps(values, indent=2) + "\n"
