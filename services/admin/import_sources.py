"""The files that a command imports, with what is said of each."""

import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import typer

from services.admin.consensus import NotOneForEachFileError
from services.admin.console import progress_bar
from shared.dataset.imported_files import Contents, look_through
from shared.dataset.importing import Source
from shared.errors import UserError
from shared.job import NAME_PATTERN, OWN_VOICE, line_of_text


class VoicesCountError(UserError):
    """--voice is given {given} times for {further} files after the first; give it once for each of those, in their
    order, or not at all. The first file's outputs are the instances' own"""


class VoiceNameError(UserError):
    """--voice {name}: {reason}"""


def _lines_of_text(values: list[str] | None) -> list[str] | None:
    for value in values or []:
        try:
            line_of_text(value)
        except ValueError as error:
            raise typer.BadParameter(f"it {error}") from None
    return values


Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE", help="JSONL, or one JSON array as Alpaca's, of records with instruction, input, output"
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        callback=_lines_of_text,
        help="where the file is from, e.g. an address; once for all files, or once for each",
    ),
]
Licences = Annotated[
    list[str] | None,
    typer.Option(callback=_lines_of_text, help="its licence, an SPDX identifier; once for all files, or once for each"),
]
Voices = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="what to call the outputs of each further file; by default as the file"),
]


def sources_of(
    files: Sequence[Path],
    voices: Sequence[str] | None,
    sources: Sequence[str] | None,
    licences: Sequence[str] | None,
) -> list[Source]:
    """Look through the files, and put to each what the options say of it.

    Raises `NotOneForEachFileError`, `VoicesCountError`, `VoiceNameError`, and what reading a file raises.
    """
    named = _voices(files, voices)
    said = zip(_each("--source", files, sources), _each("--licence", files, licences), strict=True)
    about = list(zip(files, named, said, strict=True))
    return [Source(path, _looked_through(path), voice, source, licence) for path, voice, (source, licence) in about]


def _each(option: str, files: Sequence[Path], values: Sequence[str] | None) -> Sequence[str | None]:
    if not values:
        return [None] * len(files)
    if len(values) == 1:
        return [values[0]] * len(files)
    if len(values) != len(files):
        raise NotOneForEachFileError(option=option, given=len(values), files=len(files))
    return values


def _voices(files: Sequence[Path], names: Sequence[str] | None) -> list[str]:
    """What each file's outputs are called: those of the first are the instances' own."""
    if names and len(names) != len(files) - 1:
        raise VoicesCountError(given=len(names), further=len(files) - 1)
    voices = [OWN_VOICE]
    for path, name in zip_longest(files[1:], names or []):
        voices.append(_named(name, voices) if name else _named_as(path, voices))
    return voices


def _named(name: str, taken: Sequence[str]) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        reason = "a name is of small letters, digits, '-' and '_', begins with a letter or digit, and has 63 at most"
        raise VoiceNameError(name=name, reason=reason)
    if name in taken:
        whose = "the first file's outputs" if name == OWN_VOICE else "another file's outputs"
        raise VoiceNameError(name=name, reason=f"so {whose} are called; give it another name")
    return name


def _named_as(path: Path, taken: Sequence[str]) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_")[:50] or "file"
    return f"{name}-{len(taken)}" if name in taken else name


def _looked_through(path: Path) -> Contents:
    size = path.stat().st_size if path.is_file() else 0
    with progress_bar(f"reading {path.name}", size) as told:
        return look_through(path, told)
