"""Make the picture and the table of the README again: python -m benchmarks.demo (or `make figures`)."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import with_table, write_whole

_ROOT = Path(__file__).resolve().parent.parent
_README = _ROOT / "README.md"
_PICTURE = _ROOT / "docs" / "assets" / "demo.png"


def main() -> None:
    """Run `wellposed demo` and put what it gives into the README."""
    _PICTURE.parent.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "demo.md"
        command = ["wellposed", "demo", "--quiet", "--output", str(_PICTURE), "--markdown", str(rows)]
        subprocess.run([sys.executable, "-m", *command], check=True)
        table = rows.read_text(encoding="utf-8").rstrip()
    write_whole(_README, with_table(_README.read_text(encoding="utf-8"), "demo-table", table))


if __name__ == "__main__":
    main()
