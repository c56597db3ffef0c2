"""The novelty filter on plain files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from services.admin.console import say
from services.admin.jsonl_output import with_progress, write_line
from shared.dataset.jsonl import STDIN, EmptyFileError, read_records
from shared.errors import UserError
from shared.method.novelty import Match, NoveltyIndex

MOST = 10


class TwiceFromStdinError(UserError):
    """Only one of the files can be read from stdin (-)"""


@dataclass(frozen=True, slots=True)
class _Text:
    source: str
    line: int
    instruction: str


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
    asked = _read(candidates, "candidates", field)
    index = NoveltyIndex(threshold)
    for number, text in enumerate(with_progress(known, "reading the pool")):
        index.add(str(number), text.instruction)
    accepted = 0
    for text in with_progress(asked, "deciding"):
        answer = index.assess(text.instruction, MOST)
        similar = [_similar(match, known) for match in answer.most_similar]
        write_line(
            {
                "instruction": text.instruction,
                "accepted": answer.accepted,
                "max_similarity": answer.max_similarity,
                "most_similar": similar,
            }
        )
        if answer.accepted:
            accepted += 1
            index.add(str(len(known)), text.instruction)
            known.append(text)
    say(f"{len(asked)} candidates: {accepted} accepted, {len(asked) - accepted} too similar")


def _known(pool: Path, field: str) -> list[_Text]:
    try:
        return _read(pool, "pool", field)
    except EmptyFileError:  # a first dataset has nothing to repeat
        return []


def _read(path: Path, source: str, field: str) -> list[_Text]:
    mend = "name the field that holds the instruction with --field, or mend the line"
    example = f'{{"{field}": "…"}}'
    return [_Text(source, record.line, record.text(field, mend)) for record in read_records(path, example)]


def _similar(match: Match, known: Sequence[_Text]) -> dict[str, Any]:
    text = known[int(match.key)]
    return {"instruction": text.instruction, "score": match.score, "source": text.source, "line": text.line}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(novelty)
