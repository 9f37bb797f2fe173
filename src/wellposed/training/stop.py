"""When to stop: enough minutes, or a signal that asks for it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Literal, Self, TypeAlias, final

__all__ = ["Reason", "StopRequests"]

Reason: TypeAlias = Literal["finished", "time", "interrupted", "early"]
"""Why a training run came to its end: all steps, the minutes given, a signal, no more progress."""


@final
class StopRequests:
    """While it is entered, the first SIGINT or SIGTERM is a wish to stop; a second SIGINT interrupts at once.

    Parameters
    ----------
    max_minutes : float, optional
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self._deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._signalled = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def reason(self) -> Reason | None:
        """Return why to stop, or None to go on."""
        if self._signalled:
            return "interrupted"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time"
        return None

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._signalled and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signalled = True
