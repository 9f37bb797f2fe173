"""Run compiled code that releases the interpreter's lock, in as many threads as torch would use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def in_parallel(task: Callable[[int, int], object], *, at_most: int, parts_per_thread: int = 1) -> None:
    """Call `task(part, parts)` for every part, at most so many; the parts are independent.

    A thread that has finished a part takes the next one: several parts a thread, where they cost nothing, keep all
    threads at work when something else slows one of them down.
    """
    threads = torch.get_num_threads()
    parts = max(1, min(parts_per_thread * threads, at_most))
    if threads == 1 or parts == 1:
        task(0, 1)
        return
    with ThreadPoolExecutor(min(threads, parts)) as pool:
        for _ in pool.map(lambda part: task(part, parts), range(parts)):
            pass
