"""How projectors grow with the size of the image: python -m benchmarks.ct_scaling writes a table and a plot.

Seconds are the least of a few calls, forward and adjoint; memory is measured in a process of its own, as in `measure`.
An interpolation is one ray crossing one row or column of pixels: the work that an operator of this kind is made of, 4
floating-point operations in the plane and 10 in space. The limit that it is compared with is the rate at which this
machine multiplies matrices. The full run takes some five minutes on two idle cores, with `--repeat 1` three.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import peak_mib
from benchmarks.report import with_table, write_whole
from wellposed.core.names import optional_import
from wellposed.data import uniform_angles
from wellposed.operators import ConeBeam3D, LinearOperator, ParallelBeam2D

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = _ROOT / "docs" / "benchmarks.md"
_PLOT = _ROOT / "docs" / "assets" / "ct-scaling.png"
_PICTURE = "\n\n![Seconds against work](assets/ct-scaling.png)"
_SIZES = {"parallel": (128, 256, 512, 1024), "cone": (64, 128, 256)}
_VIEWS = 180
_OPERATIONS = {"parallel": 4, "cone": 10}
_MATRIX = 1024
_RETURN_FREED_BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def main() -> None:
    """Measure all sizes, each in a process of its own, and write table and plot; or measure one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", nargs=2, metavar=("KIND", "SIZE"))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(_measure(options.one[0], int(options.one[1]), options.repeat, memory=options.memory)))
        return
    rows = [_row(kind, size, options.repeat, options.threads) for kind, sizes in _SIZES.items() for size in sizes]
    write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), "ct-scaling-table", _table(rows) + _PICTURE))
    _plot(rows)


def _measure(kind: str, size: int, repeat: int, *, memory: bool) -> dict[str, Any]:
    with torch.no_grad():
        operator, x = _workload(kind, size)
        built = min(_seconds(lambda: _workload(kind, size, x)) for _ in range(repeat))
        y = operator(x)
        assert isinstance(y, Tensor)  # noqa: S101
        inputs = (x.nbytes + y.nbytes) / 2**20
        calls = {"forward": lambda: operator(x), "adjoint": lambda: operator.adjoint(y)}
        if memory:
            return {"inputs": inputs} | {name: peak_mib(call) for name, call in calls.items()}
        matrix = torch.rand(_MATRIX, _MATRIX)
        rate = 2 * _MATRIX**3 / min(_seconds(lambda: matrix @ matrix) for _ in range(repeat + 1))
        seconds = {name: min(_seconds(call) for _ in range(repeat)) for name, call in calls.items()}
        return seconds | {"construction": built, "rays": y.numel(), "limit": rate}


def _workload(kind: str, size: int, x: Tensor | None = None) -> tuple[LinearOperator, Tensor]:
    """Build the operator, and random images unless they are given."""
    if kind == "parallel":
        x = torch.rand(1, 1, size, size) if x is None else x
        return ParallelBeam2D(uniform_angles(size), (1, size, size)), x
    angles = uniform_angles(_VIEWS, span=2 * math.pi)
    beam = ConeBeam3D(angles, (1, size, size, size), 3.0 * size, 1.0 * size, detector_pitch=2.0, row_pitch=2.0)
    return beam, torch.rand(1, 1, size, size, size) if x is None else x


def _seconds(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _row(kind: str, size: int, repeat: int, threads: int) -> dict[str, Any]:
    base = [sys.executable, "-m", "benchmarks.ct_scaling", "--one", kind, str(size)]
    base += ["--repeat", str(repeat), "--threads", str(threads)]
    entries: dict[str, Any] = {"kind": kind, "size": size}
    for flags, settings, prefix in (([], {}, ""), (["--memory"], _RETURN_FREED_BLOCKS, "mib_")):
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)} | settings
        result = subprocess.run([*base, *flags], env=environment, capture_output=True, text=True, check=True)
        entries |= {prefix + name: value for name, value in json.loads(result.stdout).items()}
    print(entries, flush=True)
    return entries


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        (
            "| beam | image | views | construction | forward | adjoint | ns an interpolation | of the limit | "
            "image and sinogram | more memory at most |"
        ),
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        is_plane = row["kind"] == "parallel"
        shape = f"{row['size']} x {row['size']}" if is_plane else f"{row['size']}^3"
        per_step = 1e9 * (row["forward"] + row["adjoint"]) / 2 / (row["rays"] * row["size"])
        share = _OPERATIONS[row["kind"]] / (1e-9 * per_step * row["limit"])
        memory = max(row["mib_forward"] or 0, row["mib_adjoint"] or 0)
        lines.append(
            f"| {row['kind']} | {shape} | {row['size'] if is_plane else _VIEWS} | {1e3 * row['construction']:.1f} ms | "
            f"{row['forward']:.3g} s | {row['adjoint']:.3g} s | {per_step:.2f} | {share:.1%} | "
            f"{row['mib_inputs']:.1f} MiB | {memory:.1f} MiB |"
        )
    return "\n".join(lines)


def _plot(rows: list[dict[str, Any]]) -> None:
    figure = optional_import("matplotlib.figure", extra="cli").Figure(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    for kind, marker in (("parallel", "o"), ("cone", "s")):
        mine = [row for row in rows if row["kind"] == kind]
        for direction, style in (("forward", "-"), ("adjoint", "--")):
            work = [row["rays"] * row["size"] for row in mine]
            axes.loglog(work, [row[direction] for row in mine], style + marker, label=f"{kind}, {direction}")
    axes.set(xlabel="interpolations (rays times steps)", ylabel="seconds")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(_PLOT, dpi=110)


if __name__ == "__main__":
    main()
