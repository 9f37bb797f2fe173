"""How much memory a training step of an unrolled network needs, by its steps and by what is kept: a table.

python -m benchmarks.unrolled [--device cuda] measures each case in a process of its own, since what a process has once
taken it seldom gives back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.measure import peak_mib
from wellposed.models import DRUNet, HQSStep, Unrolled
from wellposed.operators import Blur
from wellposed.physics import Physics

__all__ = ["MEMORIES", "STEPS", "measured", "table"]

MEMORIES = ("store", "checkpoint", "invert")
STEPS = (2, 4, 8, 16)

_SIZE = 128
_RETURN_FREED_BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
_MIB = 2**20


def main() -> None:
    """Measure one case and print it as JSON, or all of them and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", nargs=2, metavar=("MEMORY", "STEPS"))
    options = parser.parse_args()
    if options.case:
        torch.set_num_threads(options.threads)
        print(json.dumps(measured(options.case[0], int(options.case[1]), options.device)))
        return
    arguments = [sys.executable, "-m", "benchmarks.unrolled", "--device", options.device]
    environment = os.environ | _RETURN_FREED_BLOCKS
    results: dict[str, dict[int, tuple[float, float]]] = {memory: {} for memory in MEMORIES}
    for memory in MEMORIES:
        for steps in STEPS:
            command = [*arguments, "--threads", str(options.threads), "--case", memory, str(steps)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            results[memory][steps] = tuple(json.loads(done.stdout))
            print(memory, steps, *results[memory][steps], file=sys.stderr, flush=True)
    print(table(results))


def measured(memory: str, steps: int, device: str) -> tuple[float, float]:
    """Return the peak memory in MiB, and the seconds, of a forward and backward pass on a 128 x 128 patch.

    The network is unrolled half-quadratic splitting with a DRUNet of 2 million weights, shared by all steps; gradients
    of the weights exist before, and are not counted.
    """
    generator = torch.Generator().manual_seed(0)
    kernel = torch.rand(1, 1, 9, 9, generator=generator)
    physics = Physics(Blur(kernel / kernel.sum(), (1, _SIZE, _SIZE), padding="circular")).to(device)
    y: Tensor = physics(torch.rand(1, 1, _SIZE, _SIZE, generator=generator).to(device))
    step = HQSStep(DRUNet(1, widths=(16, 32, 64, 128), blocks=4), sigma=0.1)
    network = Unrolled(step, steps, momentum=0.5, memory=memory).to(device)  # type: ignore[arg-type]

    def train() -> None:
        network(y, physics).square().mean().backward()

    peak = _cuda_peak_mib(train) if device.startswith("cuda") else (peak_mib(train) or float("nan"))
    start = time.perf_counter()
    train()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return peak, time.perf_counter() - start


def table(results: dict[str, dict[int, tuple[float, float]]]) -> str:
    """Return the peaks as a table in Markdown, a row each for what is kept."""
    lines = [f"| memory | {' | '.join(f'{steps} steps' for steps in STEPS)} |", "| --- |" + " ---: |" * len(STEPS)]
    for memory, row in results.items():
        cells = [f"{row[steps][0]:.0f} MiB" for steps in STEPS]
        lines.append(f'| `"{memory}"` | {" | ".join(cells)} |')
    return "\n".join(lines)


def _cuda_peak_mib(train: Callable[[], None]) -> float:
    train()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    train()
    return (torch.cuda.max_memory_allocated() - before) / _MIB


if __name__ == "__main__":
    main()
