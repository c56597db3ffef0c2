"""The novelty filter on plain files."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from services.admin.comparing import compared
from services.admin.console import say
from services.admin.jsonl_output import with_progress, write_json
from services.admin.novelty_lines import DecisionLines, Instructions
from shared.dataset.jsonl import STDIN, EmptyFileError, read_texts
from shared.errors import UserError
from shared.method.selection import Selection

MOST = 10
PAGE = 20_000


class TwiceFromStdinError(UserError):
    """Only one of the files can be read from stdin (-)"""


def a_similarity(value: float) -> float:
    """Check an option's value. Raises `typer.BadParameter`."""
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"it has to be from 0 to 1, not {value}")
    return value


def novelty(
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="a JSONL file of known instructions; - is stdin")],
    candidates: Annotated[
        Path, typer.Argument(metavar="CANDIDATES", help="a JSONL file of instructions to decide on, in order")
    ],
    threshold: Annotated[
        float, typer.Option(callback=a_similarity, help="the Rouge-L F1 that a novel instruction may reach, 0 to 1")
    ] = 0.7,
    field: Annotated[str, typer.Option(help="the field that holds the instruction")] = "instruction",
) -> None:
    """Decide which instructions are novel, with no services.

    A candidate is accepted unless its Rouge-L F1 with an instruction of the
    pool is above the threshold; an accepted one joins the pool.

    Writes for each candidate, in order, a line of JSON: instruction, accepted,
    max_similarity, and most_similar: the ten most similar, each with its
    instruction, score, source (pool or candidates) and line.
    """
    if pool == candidates == STDIN:
        raise TwiceFromStdinError
    known = _known(pool, field)
    asked = _read(candidates, field)
    selection = Selection(_pages(known.texts), asked.texts, threshold, MOST)
    decisions = chain.from_iterable(map(selection.decide, compared(selection, len(asked.lines))))
    lines = DecisionLines(known, asked)
    accepted = 0
    for decision in with_progress(decisions, "deciding", len(asked.lines)):
        write_json(lines.line(decision))
        accepted += decision.accepted
    say(f"{len(asked.lines)} candidates: {accepted} accepted, {len(asked.lines) - accepted} too similar")


def _known(pool: Path, field: str) -> Instructions:
    try:
        return _read(pool, field)
    except EmptyFileError:  # a first dataset has nothing to repeat
        return Instructions([], [])


def _read(path: Path, field: str) -> Instructions:
    mend = "name the field that holds the instruction with --field, or mend the line"
    return Instructions(*zip(*read_texts(path, field, mend), strict=True))


def _pages(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    pages = [texts[start : start + PAGE] for start in range(0, len(texts), PAGE)]
    return with_progress(pages, "reading the pool", len(pages))


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(novelty)
