"""Where records stand in bitmaps: 64 to a word, those of one word alike in length."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.method.growing import Growing

SHELF = 1024  # records


class Layout:
    """Places of records, which are numbered as they come.

    As soon as there are 1,024 more records they are put in order of length, so that a bound which depends on the
    length can be told for 64 of them at once; the latest stand as they came.
    """

    def __init__(self) -> None:
        self._lengths = Growing(np.uint32)
        self._places = Growing(np.uint32)
        self._records = Growing(np.uint32)
        self._shortest = np.empty(0, np.uint32)
        self._final = 0

    @property
    def lengths(self) -> NDArray[np.uint32]:
        """How many words each record has."""
        return self._lengths.items

    @property
    def places(self) -> NDArray[np.uint32]:
        """Where each record stands."""
        self._settle()
        return self._places.items

    @property
    def records(self) -> NDArray[np.uint32]:
        """Which record stands at each place."""
        self._settle()
        return self._records.items

    @property
    def shortest(self) -> NDArray[np.uint32]:
        """The fewest words that a record has, for each word of a bitmap."""
        self._settle()
        return self._shortest

    @property
    def final(self) -> int:
        """How many records, from the first on, keep their places."""
        self._settle()
        return self._final

    def words(self, count: int) -> int:
        """Of how many words of a bitmap the places of the first `count` records are."""
        whole = -(-count // SHELF) * SHELF
        return -(-(whole if whole <= self.final else count) // 64)

    def append(self, length: int) -> None:
        """Note how many words the next record has."""
        self._lengths.append(length)

    def extend(self, lengths: ArrayLike) -> None:
        """Note how many words each of the next records has."""
        self._lengths.extend(lengths)

    def _settle(self) -> None:
        new = np.arange(len(self._places), len(self._lengths))
        if not len(new):
            return
        self._places.extend(new)
        self._records.extend(new)
        start, self._final = self._final, len(self._lengths) // SHELF * SHELF
        shelves = self.lengths[start : self._final].reshape(-1, SHELF)
        within = shelves.argsort(axis=1, kind="stable")
        records = (within + np.arange(start, self._final, SHELF)[:, None]).reshape(-1)
        self._records.items[start : self._final] = records
        self._places.items[records] = np.arange(start, self._final)
        lengths = self.lengths[self._records.items[start:]]
        padded = np.pad(lengths, (0, -len(lengths) % 64), mode="edge")
        self._shortest = np.concatenate((self._shortest[: start // 64], padded.reshape(-1, 64).min(axis=1)))
