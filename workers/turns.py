"""What one of a process does at a time."""

import uuid
from collections import defaultdict
from collections.abc import Callable
from threading import Lock


class OneAtATime:
    """Does a thing for a run in one thread at a time, while one more waits; others need not, since it does theirs."""

    def __init__(self) -> None:
        self._waiting: set[uuid.UUID] = set()
        self._turns: defaultdict[uuid.UUID, Lock] = defaultdict(Lock)
        self._lock = Lock()

    def do(self, run_id: uuid.UUID, work: Callable[[], object]) -> None:
        """Do it when it is this thread's turn, unless another has not begun yet: that one will see to it all."""
        with self._lock:
            if run_id in self._waiting:
                return
            self._waiting.add(run_id)
            turn = self._turns[run_id]
        with turn:
            with self._lock:
                self._waiting.discard(run_id)
            work()

    def about_to_begin(self, run_id: uuid.UUID) -> bool:
        """Whether a thread waits for its turn, so that nobody else need ask for it."""
        with self._lock:
            return run_id in self._waiting


class Turn:
    """What one of a process may do at a time; nobody waits for it."""

    def __init__(self) -> None:
        self._whose: object = None
        self._lock = Lock()

    def take(self, who: object) -> bool:
        """Whether it was nobody's turn; it is `who`'s now."""
        with self._lock:
            if self._whose is not None:
                return False
            self._whose = who
            return True

    def release(self, who: object) -> bool:
        """Whether it was `who`'s turn; then it is nobody's now."""
        with self._lock:
            if self._whose is not who:
                return False
            self._whose = None
            return True
