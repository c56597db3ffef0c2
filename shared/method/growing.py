"""Numpy arrays that grow at their end."""

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Item = TypeVar("Item", bound=np.generic)


class Growing(Generic[Item]):
    """A one-dimensional array with room to spare.

    Unlike `array.array` it may grow while somebody looks at what it holds, as a profiler that keeps a thread's
    frames does.
    """

    def __init__(self, dtype: type[Item]) -> None:
        self._room: NDArray[Item] = np.empty(64, dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def items(self) -> NDArray[Item]:
        """What it holds now: a view."""
        return self._room[: self._size]

    def append(self, item: Any) -> None:
        """Put one item at the end."""
        self._make_room(1)
        self._room[self._size] = item
        self._size += 1

    def extend(self, items: ArrayLike) -> None:
        """Put several at the end."""
        new = np.asarray(items, self._room.dtype)
        self._make_room(len(new))
        self._room[self._size : self._size + len(new)] = new
        self._size += len(new)

    def _make_room(self, count: int) -> None:
        if self._size + count > len(self._room):
            room = np.empty(max(self._size + count, 2 * len(self._room)), self._room.dtype)
            room[: self._size] = self.items
            self._room = room
