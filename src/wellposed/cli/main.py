"""The entry point of the command `wellposed`."""

import logging
import sys
import warnings

from wellposed.core.errors import MissingDependencyError
from wellposed.core.names import optional_import

__all__ = ["main"]


def main() -> None:
    """Run the command line, or say which extra brings it."""
    try:
        for package in ("rich", "typer"):
            optional_import(package, extra="cli")
    except MissingDependencyError as error:
        sys.stderr.write(f"wellposed: {error}\n")
        sys.exit(2)
    from wellposed.cli.application import application

    _silence_other_libraries()
    application(prog_name="wellposed")


def _silence_other_libraries() -> None:
    """Keep what readers of formats log and warn about off the screen, unless Python was asked to show warnings."""
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
