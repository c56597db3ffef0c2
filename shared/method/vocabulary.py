"""Texts as numbers of words, many at a time."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby, repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.method.rouge import ASCII_WORDS, LAST_SYMBOL, Symbols, symbols, words

_END = "\0"  # of a text; within one it parts words, so it is none
_WORDS_AND_ENDS = _END + ASCII_WORDS[1:]
_CODE = f"utf-32-{sys.byteorder[0]}e"


class Numbered(NamedTuple):
    """Texts as the numbers of their words, one text after another, and how many words each has."""

    numbers: NDArray[np.uint32]
    lengths: NDArray[np.intp]

    def owners(self) -> NDArray[np.intp]:
        """For each number the text it is of, from 0."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def symbols(self) -> list[Symbols]:
        """Each text as `shared.method.rouge.symbols` gives it."""
        ends = np.cumsum(self.lengths)
        bounds = list(zip((ends - self.lengths).tolist(), ends.tolist(), strict=True))
        if self.numbers.max(initial=0) > LAST_SYMBOL:
            return [symbols(self.numbers[start:end].tolist()) for start, end in bounds]
        joined = self.numbers.tobytes().decode(_CODE, "surrogatepass")
        return [joined[start:end] for start, end in bounds]


class Vocabulary(defaultdict[str, int]):
    """A growing numbering: looking a word up gives its number, in order of first sight."""

    def __init__(self) -> None:
        super().__init__()
        self.default_factory = self.__len__
        self._end = self[_END]

    def learn(self, texts: Sequence[str]) -> Numbered:
        """The words of `texts`, those not seen before under new numbers."""
        flat = _words_and_ends(texts)
        return self._parted(np.fromiter(map(self.__getitem__, flat), np.uint32, len(flat)))

    def look_up(self, texts: Sequence[str]) -> Numbered:
        """The words of `texts`, all that were not seen before under the number that comes next."""
        flat = _words_and_ends(texts)
        return self._parted(np.fromiter(map(self.get, flat, repeat(len(self))), np.uint32, len(flat)))

    def _parted(self, numbers: NDArray[np.uint32]) -> Numbered:
        is_end = numbers == self._end
        return Numbered(numbers[~is_end], np.diff(np.flatnonzero(is_end), prepend=-1) - 1)


def _words_and_ends(texts: Sequence[str]) -> list[str]:
    """The words of each text as `words` gives them, and an end after each text."""
    flat: list[str] = []
    for is_ascii, group in groupby(texts, str.isascii):
        if is_ascii:
            joined = f" {_END} ".join([text.replace(_END, " ") for text in group])
            flat += f"{joined} {_END}".translate(_WORDS_AND_ENDS).split()
            continue
        for text in group:
            flat += words(text)
            flat.append(_END)
    return flat


def repetitions(keys: NDArray[Any]) -> NDArray[np.intp]:
    """For each of some sorted keys, how many equal ones stand before it."""
    place = np.arange(len(keys))
    first = np.where(np.diff(keys, prepend=keys[:1] + 1) != 0, place, 0)
    return place - np.maximum.accumulate(first)
