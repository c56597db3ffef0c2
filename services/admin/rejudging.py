"""`ensemble-instruct rejudge`: decide a run anew from what is stored."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from services.admin.changes_view import changes_view
from services.admin.connections import open_session
from services.admin.console import out, print_json, progress_bar, say
from services.admin.options import AsJson
from services.admin.runs import NothingJudgedError, RunName
from services.admin.terms import NewTerms
from shared.dataset.changes import Change, Changes
from shared.dataset.rejudging import compare, rejudge
from shared.errors import UserError, WorldError
from shared.job import JobSpec
from shared.method.consensus import Rule
from shared.method.tasks import TaskType
from shared.method.terms import Terms
from shared.store.judgements import by_terms, count_verdicts, count_wanted, judgements
from shared.store.keys import judgement_key
from shared.store.locks import try_lock
from shared.store.retractions import renew_marks
from shared.store.runs import find_run, targets_of
from shared.store.tables.runs import GOING_ON, Run


class RunStillRunningError(UserError):
    """Run '{name}' is still running, and not all is decided yet. Wait for its end, or cancel it."""


class RejudgedAlreadyError(WorldError):
    """Another command is deciding run '{name}' anew; try again when it is done."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What a judgement by these terms changes; `judgement` is its number, if there is one, `written` just now."""

    run: Run
    terms: Terms
    judgement: int | None
    written: bool
    changes: Changes
    before: dict[TaskType, int]
    targets: dict[TaskType, int]

    def as_json(self) -> dict[str, Any]:
        """The same for a program."""
        after, changes = self.changes.examples(self.targets), self.changes
        voices = self.terms.weights
        return {
            "run": self.run.name,
            "run_id": self.run.id,
            "judgement": self.judgement,
            "written": self.written,
            "terms": self.terms,
            "instances": changes.instances,
            "changes": {change: changes.counts[change] for change in Change},
            "retracted": {"instances": changes.retracted_instances, "outputs": changes.retracted_outputs},
            "wins": {v: {"before": changes.wins_before[v], "after": changes.wins_after[v]} for v in voices},
            "examples": {
                kind: {"target": target, "before": self.before.get(kind, 0), "after": after[kind]}
                for kind, target in self.targets.items()
            },
            "samples": [asdict(sample) for sample in changes.samples],
        }


def rejudge_run(
    run: RunName,
    rule: Annotated[Rule | None, typer.Option("--rule", help="the rule; by default the run's own")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="0…1",
            help="what the lowest score of a pair must exceed; by default the run's own",
            callback=lambda value: _threshold(value),
        ),
    ] = None,
    weight: Annotated[
        list[str], typer.Option("--weight", metavar="VOICE=X", help="how much a voice counts, e.g. instance=2")
    ] = [],  # noqa: B006 - Typer copies it
    family: Annotated[
        list[str],
        typer.Option("--family", metavar="VOICE=NAME", help="voices of one family share a vote; VOICE= takes it out"),
    ] = [],  # noqa: B006 - Typer copies it
    min_candidates: Annotated[
        int | None, typer.Option(min=1, help="fewer usable outputs than this, and the instance is discarded")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change, and write nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Decide a finished run anew from what is stored, as a further judgement; the first stays as it is.

    What is retracted has no part: an example whose verdict compared an output
    of a retracted model comes clean out of a judgement without it.
    """
    new = NewTerms(rule, threshold, min_candidates, weight, family)
    with open_session() as session:
        renew_marks(session)
        result = _rejudged(session, run, new, dry_run=dry_run)
    if as_json:
        print_json(result.as_json())
    else:
        out.print(changes_view(result.changes, list(result.terms.weights), result.before, result.targets))
    say(_told(result))


def _threshold(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 1:
        raise typer.BadParameter(f"{value} is not between 0 and 1")
    return value


def _rejudged(session: Session, name: str, new: NewTerms, *, dry_run: bool) -> Rejudged:
    run = find_run(session, name)
    if run.state in GOING_ON:
        raise RunStillRunningError(name=run.name)
    terms = new.over(JobSpec.model_validate(run.job).terms)
    total = count_verdicts(session, judgement_key(run.id))
    if not total:
        raise NothingJudgedError(name=run.name)
    if not dry_run and not try_lock(session, "rejudge", run.id):
        raise RejudgedAlreadyError(name=run.name)
    twin = by_terms(session, run.id, terms)
    writes = twin is None and not dry_run
    number = twin.number if twin else judgements(session, run.id)[-1].number + 1 if writes else None
    before = count_wanted(session, judgement_key(run.id))
    targets = {kind: target.target for kind, target in targets_of(session, run.id).items()}
    with progress_bar("deciding", total) as told:
        if writes and number is not None:
            changes = rejudge(session, run.id, number, terms, told)
            session.commit()
        else:
            changes = compare(session, run.id, terms, told)
    return Rejudged(run, terms, number, writes, changes, before, targets)


def _told(result: Rejudged) -> str:
    name, number = result.run.name, result.judgement
    if number is None:
        return "nothing was written; without --dry-run this would be a further judgement"
    export = f"ensemble-instruct export {name} --judgement {number}"
    if result.written:
        return f"judgement {number} of run {name} is written; export it with: {export}"
    return f"judgement {number} of run {name} was made with these settings, so nothing was written"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("rejudge")(rejudge_run)
