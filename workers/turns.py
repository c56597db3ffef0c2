"""Work that is done by one thread of a process at a time, as often as it takes."""

import uuid
from collections.abc import Callable
from threading import Lock


class OneAtATime:
    """Does a thing for a run in one thread; whoever asks for it meanwhile has it done once more, and need not wait."""

    def __init__(self) -> None:
        self._again: dict[uuid.UUID, bool] = {}
        self._lock = Lock()

    def do(self, run_id: uuid.UUID, work: Callable[[], object]) -> None:
        """Do it now, unless a thread is at it: then that one will do it again."""
        with self._lock:
            under_way = run_id in self._again
            self._again[run_id] = True
        if under_way:
            return
        try:
            while self._goes_on(run_id):
                work()
        except BaseException:
            with self._lock:
                del self._again[run_id]
            raise

    def ask_again(self, run_id: uuid.UUID) -> bool:
        """Have a thread that is at it do it once more; `False` if there is none."""
        with self._lock:
            if run_id in self._again:
                self._again[run_id] = True
            return run_id in self._again

    def _goes_on(self, run_id: uuid.UUID) -> bool:
        with self._lock:
            asked = self._again.pop(run_id)
            if asked:
                self._again[run_id] = False
            return asked
