"""How much longer than our own DRUNet RAM takes, call by call in turns: python -m benchmarks.beside_drunet.

Both run in one process, so that the pace of the machine, which wanders, is that of both. Fills the table in
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from benchmarks.report import with_table, write_whole
from benchmarks.workloads import WORKLOADS

__all__ = ["ratios", "table"]

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_PROBLEMS = ("denoise", "inpaint", "sr4", "blur_circular", "blur_valid")


@torch.no_grad()
def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    drunet = WORKLOADS["drunet_256"]()["forward"]
    rows = {name: ratios(WORKLOADS[f"ram_{name}_256"]()["forward"], drunet, options.calls) for name in _PROBLEMS}
    text = table(rows)
    print(text)
    write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), "drunet-table", text))


def ratios(one: Callable[[], object], other: Callable[[], object], calls: int) -> list[float]:
    """Return how many times longer each call of the one took than the call of the other after it, sorted."""
    for call in (one, other):
        call()
    return sorted(_seconds(one) / _seconds(other) for _ in range(calls))


def table(rows: dict[str, list[float]]) -> str:
    """Return the medians, the least and the most, as Markdown."""
    lines = [
        f"| `ram_{name}_256` | {median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f}) |"
        for name, values in rows.items()
    ]
    return "\n".join(["| workload | times as long as `drunet_256` |", "| --- | ---: |", *lines])


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
