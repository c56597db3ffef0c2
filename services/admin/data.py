"""Commands about data: bring the tables up to date, export examples."""

from pathlib import Path
from typing import Annotated

import typer

from services.admin.connections import open_engine, open_session
from services.admin.console import answer, say
from services.admin.database_users import create_user
from services.admin.runs import JudgementNumber, RunName
from shared.dataset.export import ExportFormat
from shared.dataset.export import export as export_run
from shared.store.judgements import find_judgement
from shared.store.migrate import upgrade as upgrade_database
from shared.store.runs import find_run

database = typer.Typer(help="The database's tables.", no_args_is_help=True)


@database.command()
def upgrade() -> None:
    """Bring the database's tables up to date."""
    with open_engine() as engine:
        revision = upgrade_database(engine)
    say(f"the database is at revision {revision}")


database.command("create-user")(create_user)


def export(
    run: RunName,
    form: Annotated[ExportFormat, typer.Option("--format", help="the file's format")] = ExportFormat.JSONL,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="the folder to write into; by default exports/RUN, with the judgement's number if it is not 0",
        ),
    ] = None,
    judgement: JudgementNumber = 0,
    surplus: Annotated[bool, typer.Option("--surplus", help="also those that came after the target was met")] = False,
) -> None:
    """Write a run's examples to a file and print its path."""
    with open_session() as session:
        found = find_run(session, run)
        number = find_judgement(session, found.id, found.name, judgement).number
        name = f"{found.name}-judgement-{number}" if number else found.name
        folder = folder or Path("exports") / name
        path = export_run(session, found.id, found.name, form, folder, judgement=number, surplus=surplus)
    answer(str(path))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(export)
    app.add_typer(database, name="db")
