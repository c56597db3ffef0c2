"""The command that makes logins for workers, commands and readers."""

import os
from typing import Annotated

import typer

from services.admin.connections import open_engine
from services.admin.console import say
from shared.errors import UserError
from shared.store.revisions import require_migrated
from shared.store.roles import Role, create_login

PASSWORD_VARIABLE = "NEW_USER_PASSWORD"  # noqa: S105 - the name of a variable, no password


class NoPasswordError(UserError):
    """The variable {variable} is not set: put the new user's password there; a command's arguments can be seen by
    others on the machine."""


def create_user(
    name: Annotated[str, typer.Argument(help="the login's name")],
    role: Annotated[
        Role,
        typer.Option(
            help="worker: runs workers; operator: runs commands; reader: asks the lineage; scaler: counts work"
        ),
    ],
    variable: Annotated[
        str, typer.Option("--password-env", metavar="VARIABLE", help="the environment variable that holds its password")
    ] = PASSWORD_VARIABLE,
) -> None:
    """Make a login with no more rights than it needs, or give it another password.

    DATABASE_URL is the owner's address.
    """
    password = os.environ.get(variable)
    if not password:
        raise NoPasswordError(variable=variable)
    with open_engine() as engine:
        require_migrated(engine)
        is_new = create_login(engine, name, role, password)
    say(f"user '{name}' is there now, as {role}" if is_new else f"user '{name}' has the password now, as {role}")
