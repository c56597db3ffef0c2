"""Signals that end a program, as exceptions, so that what it started is stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(SystemExit):
    """The program was told to end by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


def _raise(number: int, _: FrameType | None) -> None:
    raise Terminated(number)


@contextmanager
def endings_raise() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise Terminated, as SIGINT raises KeyboardInterrupt. Only on the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, the signals that end a program wait. Only on the main thread; use it for what is soon done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDING})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
