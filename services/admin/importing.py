"""`ensemble-instruct import`: bring in what was made elsewhere."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from services.admin.connections import open_session
from services.admin.console import answer, print_json, progress_bar, say, warn
from services.admin.import_sources import Files, Licences, Sources, Voices, sources_of
from services.admin.novelty import a_similarity
from services.admin.options import AsJson, a_run_name
from services.admin.retracted_parts import refuse_retracted_files
from shared.dataset.importing import Brought, Source, bring_in, import_job, imported_before
from shared.errors import UserError
from shared.job import ConsensusStage, JobSpec
from shared.method.consensus import Rule
from shared.store.runs import find_run
from shared.store.tables.runs import Run


class OneVoiceError(UserError):
    """--rule {rule}: a consensus needs two files or more, and with one its outputs are kept as they are. Once
    `add-output` has brought a further voice, `rejudge` decides between them"""


class ScopeWithoutThresholdError(UserError):
    """--novelty-scope says what must not be repeated; say with --novelty, too, how alike is too alike, such as 0.7"""


def import_files(
    files: Files,
    name: Annotated[str, typer.Option("--as", metavar="RUN", help="the run's name", callback=a_run_name)],
    source: Sources = None,
    licence: Licences = None,
    voice: Voices = None,
    rule: Annotated[
        Rule | None, typer.Option(help="how to choose among the outputs of several files", show_default=False)
    ] = None,
    threshold: Annotated[
        float, typer.Option(callback=a_similarity, help="what the lowest Rouge-L F1 of a pair must exceed, 0 to 1")
    ] = 0.01,
    novelty: Annotated[
        float | None,
        typer.Option(
            metavar="0…1",
            callback=lambda value: _a_threshold(value),
            help="reject an instruction whose Rouge-L F1 with one before it is above this; by default all are kept",
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--novelty-scope", metavar="RUN", help="a run that must not be repeated either, or all"),
    ] = None,
    filtered: Annotated[
        bool, typer.Option("--filter", help="reject what the filters of a run would reject by default")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in instructions or complete examples that were made elsewhere, as a run that is complete.

    The first FILE has the instances, each with its own output if it has one.
    Further ones have further outputs for them: they are aligned with the first
    by instruction and input, as `consensus` does it, and judged by --rule.
    All that is brought in keeps its record in the file as its root.
    """
    consensus = _consensus(files, rule, threshold)
    if scope and novelty is None:
        raise ScopeWithoutThresholdError
    sources = sources_of(files, voice, source, licence)
    job = import_job(name, sources, consensus, novelty=novelty, scope=_scope(scope), filtered=filtered)
    with open_session() as session:
        brought = None if imported_before(session, job) else _brought_in(session, job, sources)
        run = find_run(session, name)
    if as_json:
        print_json(_summary(run, brought))
    else:
        answer(str(run.id))
    if brought:
        _tell(run.name, sources, brought)
    else:
        say(f"run {run.name} was imported from these files already, so nothing was written")


def _a_threshold(value: float | None) -> float | None:
    if value is not None and not 0 < value <= 1:
        raise typer.BadParameter(f"it has to be above 0, and 1 at most, not {value}")
    return value


def _consensus(files: Sequence[Path], rule: Rule | None, threshold: float) -> ConsensusStage:
    if len(files) == 1 and rule not in (None, Rule.NONE):
        raise OneVoiceError(rule=rule)
    by_default = Rule.NONE if len(files) == 1 else Rule.ENSEMBLE_INSTRUCT
    return ConsensusStage(rule=rule or by_default, threshold=threshold)


def _scope(names: Sequence[str] | None) -> str | tuple[str, ...]:
    if not names:
        return "run"
    return "all" if "all" in names else tuple(names)


def _brought_in(session: Session, job: JobSpec, sources: Sequence[Source]) -> Brought:
    refuse_retracted_files(session, sources)
    with progress_bar("writing", sum(job.targets.values())) as told:
        brought = bring_in(session, job, sources, told)
    session.commit()
    return brought


def _summary(run: Run, brought: Brought | None) -> dict[str, Any]:
    about = {"id": str(run.id), "name": run.name, "fingerprint": run.fingerprint, "written": brought is not None}
    if brought is None:
        return about
    counts = brought.counts
    return {
        **about,
        "instructions": counts.accepted,
        "examples": counts.examples,
        "unanswered": counts.unanswered,
        "rejected": counts.rejected,
        "discarded": counts.discarded,
        "repeated": brought.repeated,
        "lacking": brought.lacking,
        "unmatched": [len(lines) for lines in brought.unmatched],
    }


def _tell(name: str, sources: Sequence[Source], brought: Brought) -> None:
    first = sources[0].path
    for each, lacking, unmatched in zip(sources, brought.lacking, brought.unmatched, strict=True):
        if lacking:
            warn(f"{each.path} has no record for {lacking:,} of {first}: judged without it")
        if unmatched:
            warn(f"{each.path}:{unmatched[0]}: {len(unmatched):,} from here on match none of {first}: left out")
    counts = brought.counts
    say(
        f"run {name} holds {counts.accepted.total():,} instructions{_reasons('rejected', counts.rejected)}"
        f" and {counts.examples.total():,} examples{_reasons('discarded', counts.discarded)}"
    )
    if brought.repeated:
        say(f"{brought.repeated:,} of them have the instruction and input of another; they were kept")
    if counts.unanswered:
        command = f"ensemble-instruct add-output {name} --model …"
        say(f"{counts.unanswered:,} have no output; have a model answer them: {command}")


def _reasons(what: str, counts: Counter[str]) -> str:
    told = ", ".join(f"{count:,} {reason}" for reason, count in counts.most_common())
    return f" ({counts.total():,} {what}: {told})" if counts else ""


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("import")(import_files)
