"""`wellposed tasks`: the named tasks, a line each."""

from wellposed.cli._screen import show

__all__ = ["tasks"]


def tasks() -> None:
    """List the named tasks."""
    from rich.table import Table

    from wellposed.data import RANDOM_TASKS, TASKS

    table = Table("task", "what it does", box=None, pad_edge=False)
    for task in (TASKS | RANDOM_TASKS).values():
        table.add_row(task.name, task.summary)
    show(table)
