"""Print the last leg of a run as a row of the table in TRAINING.md: `python3 weights/ledger.py runs/NAME`."""

import json
import sys
from pathlib import Path
from typing import Any

_USAGE = "usage: python3 weights/ledger.py FOLDER_OF_THE_RUN\n"


def row(leg: dict[str, Any], folder: Path) -> str:
    """Return a leg as cells of Markdown; scores are in decibels, before and after."""
    before, after = leg["before"], leg["after"]
    scores = "; ".join(f"{name} {before[name]:.2f} → {after[name]:.2f}" for name in after)
    losses = "; ".join(f"{name} {loss:.4f}" for name, loss in leg["losses"].items())
    means = f"{_mean(before):.2f} → {_mean(after):.2f}"
    cells = (
        leg["ended"][:10],
        leg["recipe"],
        leg["machine"],
        f"{leg['minutes']:.1f}",
        str(leg["step"]),
        str(leg["crops"]),
        f"{leg['crops_per_second']:.0f}",
        losses,
        means,
        scores,
        str(folder),
    )
    return f"| {' | '.join(cells)} |"


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(_USAGE)
    run = Path(sys.argv[1])
    last = (run / "legs.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    sys.stdout.write(row(json.loads(last), run) + "\n")
