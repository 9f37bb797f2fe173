"""How much of a download has come, in one line that is drawn over itself."""

from __future__ import annotations

import sys

from wellposed.models.weights.download import Progress


def terminal_bar(title: str) -> Progress:
    """Return a function that draws the progress where people watch: on a terminal."""

    def draw(done: int, total: int | None) -> None:
        if not sys.stderr.isatty():
            return
        of = f" of {total / 1e6:.1f}" if total else ""
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{title}: {done / 1e6:.1f}{of} MB{end}")
        sys.stderr.flush()

    return draw
