"""How wide a text is in a picture, roughly: fonts differ from machine to machine, so a little more rather than less."""

import re
import unicodedata

NARROW, WIDE = frozenset("ijlftrI.,:;'|!()[]{}\" -"), frozenset("mwMW@%&—…→")
ELLIPSIS = "…"
_WORDS = re.compile(r"\S+")


def width_of(text: str, size: float) -> float:
    """In pixels, in a sans-serif font of `size` pixels."""
    return size * sum(map(_em, text))


def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in NARROW:
        return 0.36
    if character in WIDE:
        return 0.96
    return 0.74 if character.isupper() else 0.63


def fitted(text: str, size: float, width: float, most: int) -> list[str]:
    """`text` in at most so many lines of this width; a word that is too long for a line is parted, and what has no room
    is left out."""
    lines: list[str] = []
    for word in _WORDS.findall(text):
        for piece in _pieces(word, size, width):
            joined = f"{lines[-1]} {piece}" if lines else piece
            if lines and width_of(joined, size) <= width:
                lines[-1] = joined
            else:
                lines.append(piece)
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width_of(last + ELLIPSIS, size) > width:
        last = last[:-1]
    return [*lines[: most - 1], last + ELLIPSIS]


def _pieces(word: str, size: float, width: float) -> list[str]:
    pieces, piece = [], ""
    for character in word:
        if piece and width_of(piece + character, size) > width:
            pieces.append(piece)
            piece = ""
        piece += character
    return [*pieces, piece]
