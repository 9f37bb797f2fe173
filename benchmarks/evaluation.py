"""Run the suite of the papers and put its tables into the guide: python -m benchmarks.evaluation DATA [OPTIONS].

`make evaluation DATA=...` does it too. Options are those of `wellposed evaluate`, such as `--limit 2`.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import with_table, write_whole

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = _ROOT / "docs" / "guide" / "evaluation.md"
_SCORES = _ROOT / "benchmarks" / "evaluation.json"


def main() -> None:
    """Continue `evaluation.json`, and make the tables of the guide from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the folder that holds test/ and medical/")
    arguments, options = parser.parse_known_args()
    with TemporaryDirectory() as folder:
        tables = Path(folder) / "tables.md"
        command = ["wellposed", "evaluate", "--suite", "papers", "--data", arguments.data]
        files = ["--json", str(_SCORES), "--markdown", str(tables)]
        subprocess.run([sys.executable, "-m", *command, *files, *options], check=True)
        table = tables.read_text(encoding="utf-8").rstrip()
    write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), "evaluation-table", table))


if __name__ == "__main__":
    main()
