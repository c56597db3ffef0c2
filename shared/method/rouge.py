"""Rouge-L: the words of a text, and how far two word sequences agree in order.

For ASCII text the words and the scores are those of `rouge-score` 0.1.2, to the last bit: runs of a-z and 0-9
after lower-casing, and F1 by the same floating-point steps. `rouge-score` loses every other letter; here a text
with any non-ASCII character is read as Unicode words, after lower-casing and NFC:

- a word is a run of letters, decimal digits and letter-like numbers, with their combining marks (categories
  L, Nd, Nl, M); everything else parts words, as punctuation and `_` do in ASCII text;
- each character of a script written without spaces (Han, Hiragana, Thai, Lao, Burmese, Khmer) is a word of its
  own, with its marks, as in Unicode's Standard Annex 29;
- invisible format characters (category Cf) vanish, except the zero-width space, which parts words.

Only words of ASCII letters and digits have a Porter stem; any other word is its own.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations, count
from threading import Lock
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from rapidfuzz.distance import LCSseq

if TYPE_CHECKING:
    from rouge_score.tokenizers import DefaultTokenizer

Symbols: TypeAlias = str | tuple[int, ...]
"""A text as rapidfuzz compares it fastest: each word one character, or one int where characters run out."""

ASCII_WORDS = "".join(char.lower() if char.isalnum() else " " for char in map(chr, range(128)))
_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl"})
LAST_SYMBOL = 0x10FFFF
_STEMS_KEPT = 1 << 16
_CHARACTERS = "".join(map(chr, range(1 << 12)))

_HAN = r"\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA = r"\u3041-\u309f"
_THAI_LAO_BURMESE_KHMER = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_UNSPACED = _HAN + _HIRAGANA + _THAI_LAO_BURMESE_KHMER
_UNICODE_WORD = re.compile(rf"[{_UNSPACED}][^\w\s]*|[^\W{_UNSPACED}][^\s{_UNSPACED}]*")


class _WordCharacters(dict[int, str]):
    """For `str.translate`: what part of a word remains, what parts words turns into a space."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if category in _WORD_CATEGORIES:
            self[code] = char
        else:
            self[code] = "" if category == "Cf" and char != "\u200b" else " "
        return self[code]


_WORD_CHARACTERS = _WordCharacters()


def words(text: str) -> list[str]:
    """The words of a text in order, lower-cased; for ASCII text, `rouge-score`'s tokens without stemmer."""
    if text.isascii():
        return text.translate(ASCII_WORDS).split()
    cleaned = unicodedata.normalize("NFC", text.lower()).translate(_WORD_CHARACTERS)
    return _UNICODE_WORD.findall(cleaned)


def stems(text: str) -> list[str]:
    """The stems of a text's words in order; for ASCII text, `rouge-score`'s tokens with its stemmer."""
    return list(map(_stem, words(text)))


class _Stems(dict[str, str]):
    """A memo of stems, emptied when it is full; rouge-score leaves words of 3 letters and fewer as they are."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _STEMS_KEPT:
            self.clear()
        stem: str = _porter().tokenize(word)[0] if len(word) > 3 and word.isascii() else word
        self[word] = stem
        return stem


_stem = _Stems().__getitem__


class _StemSymbols(dict[str, str]):
    """A memo from words straight to one character for their stem. One that is full is left to whoever uses it."""

    _current: ClassVar["_StemSymbols | None"] = None

    def __init__(self) -> None:
        super().__init__()
        self._numbers = number_words()
        self._lock = Lock()  # two stems that are seen first at the same moment must not get the same number

    def __missing__(self, word: str) -> str:
        with self._lock:
            self[word] = chr(self._numbers[_stem(word)])
        return self[word]

    @classmethod
    def current(cls) -> "_StemSymbols":
        """The memo to begin with; it has room for `_STEMS_KEPT` words more."""
        memo = cls._current
        if memo is None or len(memo) > _STEMS_KEPT:
            memo = cls._current = cls()
        return memo


def load_stemmer() -> None:
    """Load what stems words now, instead of with the first comparison."""
    _porter()


@cache
def _porter() -> "DefaultTokenizer":
    from rouge_score.tokenizers import DefaultTokenizer  # takes half a second, and novelty needs no stems

    return DefaultTokenizer(use_stemmer=True)


def number_words() -> defaultdict[str, int]:
    """A growing numbering: looking a word up gives its number, 0, 1, 2 … in order of first sight."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def symbols(numbers: Sequence[int]) -> Symbols:
    """Word numbers as symbols; equal numbers give equal symbols, in strings and tuples alike."""
    if not numbers or max(numbers) <= LAST_SYMBOL:
        return "".join(map(chr, numbers))
    return tuple(numbers)


def f1(lcs: int, a_length: int, b_length: int) -> float:
    """F1 of a longest common subsequence of `lcs` words, in `rouge-score`'s order of operations."""
    if not lcs:
        return 0.0
    precision, recall = lcs / b_length, lcs / a_length
    return 2 * precision * recall / (precision + recall)


def rouge_l(a: Iterable[str], b: Iterable[str]) -> float:
    """Rouge-L F1 of two word sequences, 0 to 1, the same both ways round; 0 if either is empty."""
    return rouge_l_matrix([a, b])[0][1]


def rouge_l_matrix(texts: Iterable[Iterable[str]]) -> tuple[tuple[float, ...], ...]:
    """Rouge-L F1 of every pair of n word sequences: n rows of n, symmetric, with 1.0 on the diagonal."""
    return _matrix(_as_symbols([list(text) for text in texts]))


def stemmed_rouge_l_matrix(texts: Iterable[str]) -> tuple[tuple[float, ...], ...]:
    """`rouge_l_matrix` of the stems of n texts."""
    in_words = [words(text) for text in texts]
    if sum(map(len, in_words)) > _STEMS_KEPT:
        return rouge_l_matrix([map(_stem, text) for text in in_words])
    symbol = _StemSymbols.current().__getitem__
    return _matrix(["".join(map(symbol, text)) for text in in_words])


def _matrix(sequences: Sequence[Symbols]) -> tuple[tuple[float, ...], ...]:
    rows = [[1.0] * len(sequences) for _ in sequences]
    for i, j in combinations(range(len(sequences)), 2):
        a, b = sequences[i], sequences[j]
        rows[i][j] = rows[j][i] = f1(LCSseq.similarity(a, b), len(a), len(b))
    return tuple(map(tuple, rows))


def _as_symbols(texts: Sequence[Sequence[str]]) -> list[Symbols]:
    distinct = set().union(*texts)
    if len(distinct) <= len(_CHARACTERS):
        character = dict(zip(distinct, _CHARACTERS, strict=False)).__getitem__
        return ["".join(map(character, text)) for text in texts]
    numbers = dict(zip(distinct, count(), strict=False))
    return [symbols([numbers[word] for word in text]) for text in texts]
