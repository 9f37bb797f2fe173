"""The processes that train together: joined when a training begins, parted before the interpreter ends."""

from __future__ import annotations

import atexit
from functools import cache
from typing import Any

import torch

from wellposed.core.names import optional_import
from wellposed.training.options import Options

__all__ = ["accelerator", "join_processes"]


def accelerator() -> Any:
    """Join the processes that `torchrun` or `accelerate launch` started, and return Accelerate's view of them.

    Raises
    ------
    MissingDependencyError
        If Accelerate is not installed.
    """
    _part_at_exit()
    return optional_import("accelerate", extra="train").Accelerator()


def join_processes(options: Options) -> Any:
    """Do the same before there is anything to train, on the kind of device that the options name.

    Raises
    ------
    MissingDependencyError
        If Accelerate is not installed.
    """
    _part_at_exit()
    state = optional_import("accelerate", extra="train").PartialState
    return state(cpu=options.device == "cpu" or not torch.accelerator.is_available())


@cache
def _part_at_exit() -> None:
    """Leave the group before threads that still wait on it are taken apart, which aborts the process at times."""
    atexit.register(_part)


def _part() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
