"""Logins with no more rights than they need: each is a member of one of the roles that the migrations make."""

from enum import StrEnum
from typing import cast

import psycopg
from psycopg import errors, sql
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shared.errors import UserError, WorldError

SHORTEST_PASSWORD = 12
MORE = {  # what makes a user more than any of the roles
    "rolsuper": "a superuser",
    "rolcreaterole": "one that may create users",
    "rolcreatedb": "one that may create databases",
    "rolreplication": "one that may copy the whole server",
    "rolbypassrls": "one whom row security does not hold",
}


class Role(StrEnum):
    """What a login is for."""

    WORKER = "worker"
    OPERATOR = "operator"
    READER = "reader"
    SCALER = "scaler"

    @property
    def group(self) -> str:
        """The role in Postgres whose member such a login is."""
        return "dataset_reader" if self is Role.READER else f"ensemble_{self}"


class WeakPasswordError(UserError):
    """The password has {length} characters; let it have {least} or more."""


class UserIsMoreError(UserError):
    """The user '{name}' is {what}; choose another name for the role {role}."""


class MayNotCreateUsersError(WorldError):
    """The user of DATABASE_URL may not create users: {detail}. Use the owner's address, of a user with CREATEROLE."""


def create_login(engine: Engine, name: str, role: Role, password: str) -> bool:
    """Make a login that is a member of the role, or give one that is there the password; returns whether it is new.

    The password leaves this process as its SCRAM verifier only, so no statement's log holds it.
    Raises `WeakPasswordError`, `UserIsMoreError`, `MayNotCreateUsersError`.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise WeakPasswordError(length=len(password), least=SHORTEST_PASSWORD)
    try:
        with engine.begin() as transaction:
            connection = cast("psycopg.Connection[tuple[object, ...]]", transaction.connection.driver_connection)
            is_new = _refuse_more(connection, name, role)
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
            _write(connection, name, role, verifier.decode(), is_new=is_new)
            return is_new
    except (errors.InsufficientPrivilege, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, errors.InsufficientPrivilege):
            raise MayNotCreateUsersError(detail=str(cause).splitlines()[0]) from error
        raise


def _refuse_more(connection: "psycopg.Connection[tuple[object, ...]]", name: str, role: Role) -> bool:
    """Whether there is no such user yet; one that is something else is left alone."""
    found = connection.execute(
        sql.SQL("SELECT oid, {} FROM pg_roles WHERE rolname = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, MORE))
        ),
        [name],
    ).fetchone()
    if found is None:
        return True
    oid, *has = found
    if more := [what for what, is_more in zip(MORE.values(), has, strict=True) if is_more]:
        raise UserIsMoreError(name=name, what=more[0], role=role)
    groups = connection.execute(
        "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = %s", [oid]
    ).fetchall()
    others = sorted({str(group) for (group,) in groups} - {role.group})
    if others:
        raise UserIsMoreError(name=name, what=f"a member of {', '.join(others)}", role=role)
    return False


def _write(
    connection: "psycopg.Connection[tuple[object, ...]]", name: str, role: Role, verifier: str, *, is_new: bool
) -> None:
    user, group = sql.Identifier(name), sql.Identifier(role.group)
    # only a superuser may say of a user who is there that he is to be none: what he is was looked at
    verb = sql.SQL("CREATE" if is_new else "ALTER")
    connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, user, sql.Literal(verifier)))
    connection.execute(sql.SQL("GRANT {} TO {}").format(group, user))
