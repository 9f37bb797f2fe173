"""The entry point of the command `wellposed`."""

import sys

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

    application(prog_name="wellposed")
