"""Score methods on deblurring, inpainting and super-resolution: python -m benchmarks.photographs DATA [--limit 10].

Continues `photographs.json`, and puts its tables into the guide to reconstruction.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.report import with_table, write_whole
from wellposed.data import TASKS
from wellposed.verbs.evaluate_suite import evaluate_suite
from wellposed.verbs.suite_table import markdown_tables
from wellposed.verbs.suites import DATASETS, Case, Suite

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = _ROOT / "docs" / "guide" / "reconstruction.md"
_SCORES = _ROOT / "benchmarks" / "photographs.json"
_KINDS = ("motion", "gaussian", "inpaint", "sr")
_BLURS, _MARGIN = ("motion", "gaussian"), 15

PHOTOGRAPHS = Suite(
    name="photographs",
    summary="deblurring, inpainting and super-resolution of CBSD68",
    cases=tuple(
        Case(task, "cbsd68", margin=_MARGIN if task.startswith(_BLURS) else 0)
        for task in TASKS
        if task.startswith(_KINDS)
    ),
    methods=("pinv", "tv", "wavelet", "pnp", "red", "dpir"),
    datasets=(DATASETS["cbsd68"],),
)
"""What TV, wavelets and plug-and-play must do better than the pseudo-inverse."""


def main() -> None:
    """Continue the scores, and make the tables of the guide from them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the folder that holds test/")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    report = evaluate_suite(
        PHOTOGRAPHS,
        arguments.data,
        path=_SCORES,
        limit=arguments.limit,
        batch=1,
        device=arguments.device,
        callback=lambda done, total: print(f"\r{done} of {total}", end="", file=sys.stderr),
    )
    table = markdown_tables(report, PHOTOGRAPHS).rstrip()
    print(f"\n{table}")
    write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), "photographs-table", table))


if __name__ == "__main__":
    main()
