"""The consensus on plain files."""

from collections import Counter
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from services.admin.console import say, warn
from services.admin.jsonl_output import with_progress, write_line
from services.admin.novelty import TwiceFromStdinError, a_similarity
from shared.dataset.alignment import Alignment, Answered, align
from shared.dataset.jsonl import STDIN, Record
from shared.errors import UserError
from shared.method.consensus import Judgement, Rule, judge


class TooFewFilesError(UserError):
    """A consensus needs two files or more; the first holds candidate 0, the instances' own outputs"""


class NotOneForEachFileError(UserError):
    """{option} is given {given} times for {files} files; give it once for each, in their order, or not at all"""


def some_weights(values: list[float] | None) -> list[float] | None:
    """Check an option's values. Raises `typer.BadParameter`."""
    for value in values or []:
        if not 0 < value < inf:
            raise typer.BadParameter(f"a weight has to be above 0, not {value}")
    return values


def consensus(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="two JSONL files or more of instruction, input, output; - is stdin"),
    ],
    rule: Annotated[Rule, typer.Option(help="how to choose")] = Rule.ENSEMBLE_INSTRUCT,
    threshold: Annotated[
        float, typer.Option(callback=a_similarity, help="what the lowest Rouge-L F1 of a pair must exceed, 0 to 1")
    ] = 0.01,
    everything: Annotated[bool, typer.Option("--all", help="write the discarded records, too")] = False,
    weight: Annotated[
        list[float] | None, typer.Option(callback=some_weights, help="how much a file counts; once for each file")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="files of one family have one vote; once for each file")
    ] = None,
) -> None:
    """Choose among the outputs of several LMs, with no services.

    The first file holds candidate 0, and its records are judged in its order.
    The others are aligned with it by instruction and input; a repeated one is
    matched in order of appearance. A record that a file lacks is judged among
    the others' outputs, and discarded if there is only one; what only a later
    file has is left out, with a warning. Other fields are kept from the first,
    unless they have a name that is written anew.

    Writes a line of JSON for each record that is kept: the record with the
    chosen output, and accepted, reason, choice (the file's number, from 0),
    exact_match, margin, candidates (the numbers of the files that have an
    output) and scores (the Rouge-L F1 of each pair of them). With --all the
    discarded ones, too, with their first output and the reason.
    """
    if len(files) < 2:
        raise TooFewFilesError
    if files.count(STDIN) > 1:
        raise TwiceFromStdinError
    for option, values in (("--weight", weight), ("--family", family)):
        if values and len(values) != len(files):
            raise NotOneForEachFileError(option=option, given=len(values), files=len(files))
    alignment = align(files)
    _warn(alignment, files)
    counts: Counter[str] = Counter()
    cut: list[Record] = []
    for answered in with_progress(alignment.answered, "judging", len(alignment.answered)):
        weights = [weight[number] for number in answered.files] if weight else None
        families = [family[number] or None for number in answered.files] if family else None
        judgement = judge(answered.outputs, rule, threshold, weights=weights, families=families)
        _count(counts, answered, judgement)
        if (judgement.accepted or everything) and not write_line(_line(answered, judgement)):
            cut.append(answered.record)
    if cut:
        warn(f"{cut[0].path}:{cut[0].line}: {len(cut)} records from here on hold NaN or an infinite number: now null")
    say(_summary(counts, files))


def _warn(alignment: Alignment, files: Sequence[Path]) -> None:
    for path, lacking, unmatched in zip(files, alignment.lacking, alignment.unmatched, strict=True):
        if lacking:
            warn(f"{path} has no output for {lacking} of {len(alignment.answered)} records: judged without it")
        if lacking == len(alignment.answered):
            warn(f"instruction and input have to be the same in {path} and {files[0]}; no input is an empty text")
        if unmatched:
            warn(f"{path}:{unmatched[0]}: {len(unmatched)} records from here on match none of {files[0]}: left out")


def _line(answered: Answered, judgement: Judgement) -> dict[str, Any]:
    chosen = {} if judgement.choice is None else {"output": answered.outputs[judgement.choice]}
    return {
        **answered.record.fields,
        **chosen,
        "accepted": judgement.accepted,
        "reason": judgement.reason,
        "choice": None if judgement.choice is None else answered.files[judgement.choice],
        "exact_match": judgement.exact_match,
        "margin": judgement.margin,
        "candidates": answered.files,
        "scores": judgement.scores,
    }


def _count(counts: Counter[str], answered: Answered, judgement: Judgement) -> None:
    counts["records"] += 1
    if judgement.choice is None:
        counts[f"reason {judgement.reason}"] += 1
        return
    counts["kept"] += 1
    counts["exact"] += judgement.exact_match
    counts[f"file {answered.files[judgement.choice]}"] += 1


def _summary(counts: Counter[str], files: Sequence[Path]) -> str:
    wins = ", ".join(f"{path} {counts[f'file {number}']}" for number, path in enumerate(files))
    reasons = {key.removeprefix("reason "): n for key, n in counts.items() if key.startswith("reason ")}
    discarded = f"{sum(reasons.values())} discarded"
    if reasons:
        discarded += f" ({', '.join(f'{n} {reason}' for reason, n in sorted(reasons.items()))})"
    kept = f"{counts['kept']} kept ({counts['exact']} by an exact match)"
    return f"{counts['records']} records: {kept}, {discarded}; chosen: {wins}"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(consensus)
