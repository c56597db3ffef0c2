"""`ensemble-instruct agreement`: who wins a run's consensus, and who agrees with whom."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.admin.agreement_view import agreement_view
from services.admin.connections import open_session
from services.admin.console import out, print_json, progress_bar, say
from services.admin.options import AsJson
from services.admin.runs import JudgementNumber, NothingJudgedError, RunName
from shared.dataset.agreement import measure, warning
from shared.dataset.agreement_picture import picture
from shared.errors import UserError, WorldError
from shared.job import JobSpec
from shared.new_file import write_new
from shared.store.judgements import count_verdicts, find_judgement, terms_of
from shared.store.runs import find_run


class PictureExistsError(UserError):
    """{path} exists already; name another file, or remove it."""


class PictureFailedError(WorldError):
    """{path} can't be written: {reason}"""


def agreement(
    run: RunName,
    judgement: JudgementNumber = 0,
    as_json: AsJson = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="also draw it: a heat map and bars, as SVG")
    ] = None,
) -> None:
    """Show who wins the consensus, how long the outputs are and who agrees with whom; warn of look-alikes."""
    with open_session() as session:
        found = find_run(session, run)
        row = find_judgement(session, found.id, found.name, judgement)
        models = JobSpec.model_validate(found.job).voices
        terms, total = terms_of(row), count_verdicts(session, row.id)
        if not total:
            raise NothingJudgedError(name=found.name)
        with progress_bar("reading", total) as told:
            report = measure(session, found.id, row.number, list(models), terms, told)
    warnings = [warning(bloc, found.name) for bloc in report.blocs]
    if svg:
        _write(svg, picture(report, f"{found.name}, judgement {row.number}: {terms.rule}", warnings))
    if as_json:
        print_json(
            {
                "run": found.name,
                "run_id": found.id,
                "judgement": row.number,
                "terms": terms,
                "models": models,
                **asdict(report),
                "exact_share": report.exact_share,
                "warnings": warnings,
            }
        )
    else:
        out.print(agreement_view(report, models, terms, warnings))
    if svg:
        say(f"drawn to {svg}")


def _write(path: Path, content: str) -> None:
    try:
        write_new(path, content)
    except FileExistsError:
        raise PictureExistsError(path=path) from None
    except OSError as error:
        raise PictureFailedError(path=path, reason=error.strerror) from error


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(agreement)
