"""Commands about the database: bring its tables up to date, make logins."""

import typer

from services.admin.connections import open_engine
from services.admin.console import say
from services.admin.database_users import create_user
from shared.store.migrate import upgrade as upgrade_database

database = typer.Typer(help="The database's tables.", no_args_is_help=True)


@database.command()
def upgrade() -> None:
    """Bring the database's tables up to date."""
    with open_engine() as engine:
        revision = upgrade_database(engine)
    say(f"the database is at revision {revision}")


database.command("create-user")(create_user)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(database, name="db")
