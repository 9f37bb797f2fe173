"""Measure one workload in this process, and print one JSON object: {direction: seconds} or {direction: MiB}.

Time is the median of the repeats after one warm-up. Memory is asked for in a run of its own (`--memory`): how far the
resident memory of the process rises, at its highest, above what it is just before the call. Linux counts it; `run.py`
makes malloc return every freed block to the system, which would be unfair to the timing.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.workloads import WORKLOADS

_RESET_PEAK = "5"


def main() -> None:
    """Run from the command line: python -m benchmarks.measure NAME [--repeat 5] [--threads 2] [--memory]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.no_grad():
        calls = WORKLOADS[options.name]()
        if options.memory:
            print(json.dumps({direction: peak_mib(call) for direction, call in calls.items()}))
        else:
            print(json.dumps({direction: median_seconds(call, options.repeat) for direction, call in calls.items()}))


def median_seconds(call: Callable[[], object], repeat: int) -> float:
    """Return the median duration of `repeat` calls after a warm-up."""
    call()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def peak_mib(call: Callable[[], object]) -> float | None:
    """Return by how many MiB one call, after a warm-up, raises the resident memory; None where Linux is not asked."""
    reset = Path("/proc/self/clear_refs")
    call()
    try:
        reset.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return None
    before = _status_kib("VmRSS")
    result = call()
    peak = _status_kib("VmHWM")
    del result
    return max(peak - before, 0) / 1024


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    main()
