"""Questions that must not hang whoever asks them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.errors import WorldError

T = TypeVar("T")


class LateError(WorldError):
    """{what} did not answer within {patience_s:g} s"""


@dataclass
class _Asking(Generic[T]):
    """A question under way, or its end: a value or an error."""

    ended: threading.Event = field(default_factory=threading.Event)
    value: T | None = None
    error: Exception | None = None

    def run(self, question: Callable[[], T]) -> None:
        try:
            self.value = question()
        except Exception as error:  # it is whoever asked who is to know
            self.error = error
        finally:
            self.ended.set()


class InTime(Generic[T]):
    """Asks in a thread of its own, for so many seconds at most. Who asks meanwhile waits for the same answer.

    A question that hangs is not asked again until it has ended.
    """

    def __init__(self, what: str, question: Callable[[], T], patience_s: float) -> None:
        self._what = what
        self._question = question
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._asking: _Asking[T] | None = None

    def ask(self) -> T:
        """The answer. Raises `LateError`, and what the question raises."""
        asking = self._under_way()
        if not asking.ended.wait(self._patience_s):
            raise LateError(what=self._what, patience_s=self._patience_s)
        if asking.error:
            raise asking.error
        return asking.value  # type: ignore[return-value]  # it has one, since there is no error

    def _under_way(self) -> _Asking[T]:
        with self._lock:
            if self._asking is None or self._asking.ended.is_set():
                self._asking = _Asking()
                run = threading.Thread(
                    target=self._asking.run, args=(self._question,), name=f"asking {self._what}", daemon=True
                )
                run.start()
            return self._asking
