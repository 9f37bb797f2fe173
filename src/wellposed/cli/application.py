"""All commands together, and the one place where an error becomes a sentence and an exit code."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wellposed.cli.demo import demo
from wellposed.cli.doctor import doctor
from wellposed.cli.evaluate import evaluate
from wellposed.cli.finetune import finetune
from wellposed.cli.reconstruct import reconstruct
from wellposed.cli.simulate import simulate
from wellposed.cli.tasks import tasks
from wellposed.cli.train import train
from wellposed.cli.weights import weights
from wellposed.core.errors import WellposedError

__all__ = ["application"]


class _OneSentence(TyperGroup):
    """Ends a command on bad input with one sentence and exit code 2; a defect of wellposed shows its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (WellposedError, OSError) as error:
            typer.echo(f"wellposed: {_sentence(error)}", err=True)
            raise typer.Exit(2) from error


def _sentence(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return " ".join(text.split())


def _show_version(wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        typer.echo(version("wellposed"))
        raise typer.Exit


application = typer.Typer(cls=_OneSentence, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@application.callback()
def _wellposed(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Imaging inverse problems: from measurements to images."""


for _command in (simulate, reconstruct, finetune, evaluate, tasks, doctor, demo, train):
    application.command()(_command)
application.add_typer(weights, name="weights")
