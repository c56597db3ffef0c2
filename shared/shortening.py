"""Texts where there is room for a line."""


def shortened(text: object, most: int) -> str:
    """`text` in one line of at most so many characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
