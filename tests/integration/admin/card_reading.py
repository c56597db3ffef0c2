"""A dataset card as a program reads it: its tables and lists by their section, and the words in its pictures."""

import re
from pathlib import Path
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
Table = list[dict[str, str]]


def sections(folder: Path) -> dict[str, str]:
    """The text below each heading of README.md."""
    parts = re.split(r"^## (.*)\n", (folder / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tables(section: str) -> list[Table]:
    """The tables of a section; marks of code are taken off the cells."""
    found = re.findall(r"(?:^\|.*\|\n)+", section, flags=re.MULTILINE)
    return [_table(text.splitlines()) for text in found]


def _table(lines: list[str]) -> Table:
    head, _, *rows = ([cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def sentences(section: str) -> list[str]:
    """The points of a section's list."""
    return re.findall(r"^- (.*)$", section, flags=re.MULTILINE)


def picture_texts(path: Path) -> list[str]:
    """All that is written in a picture, its description left out."""
    return [text.text or "" for text in ElementTree.parse(path).iter(f"{SVG}text")]  # noqa: S314 - our own picture
