"""Run compiled code that releases the interpreter's lock, in as many threads as torch would use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def in_parallel(task: Callable[[int, int], object], *, at_most: int) -> None:
    """Call `task(part, parts)` for every part, each in a thread of its own; the parts are independent."""
    parts = max(1, min(torch.get_num_threads(), at_most))
    if parts == 1:
        task(0, 1)
        return
    with ThreadPoolExecutor(parts - 1) as pool:
        others = [pool.submit(task, part, parts) for part in range(1, parts)]
        task(0, parts)
        for other in others:
            other.result()
