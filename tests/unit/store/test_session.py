import psycopg
import pytest
from psycopg import errors
from sqlalchemy import exc

from shared.store.session import cause, passes


def refused(error: type[psycopg.Error], kind: type[exc.DBAPIError]) -> exc.DBAPIError:
    """What SQLAlchemy makes of a refusal of Postgres."""
    return kind("INSERT INTO generations ...", {"prompt": "a long one"}, error("it said\nso"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.AdminShutdown, exc.OperationalError),
        (errors.DiskFull, exc.OperationalError),
        (errors.DeadlockDetected, exc.OperationalError),
        (errors.ReadOnlySqlTransaction, exc.InternalError),
        (errors.InsufficientPrivilege, exc.ProgrammingError),
    ],
)
def test_what_the_database_may_take_later_passes(error: type[psycopg.Error], kind: type[exc.DBAPIError]) -> None:
    assert passes(refused(error, kind))


@pytest.mark.parametrize(
    ("error", "kind"),
    [(errors.UndefinedColumn, exc.ProgrammingError), (errors.UniqueViolation, exc.IntegrityError)],
)
def test_what_it_never_takes_does_not_pass(error: type[psycopg.Error], kind: type[exc.DBAPIError]) -> None:
    assert not passes(refused(error, kind))


def test_the_cause_is_told_without_the_statement() -> None:
    assert cause(refused(errors.DiskFull, exc.OperationalError)) == "it said so"
    assert cause(exc.TimeoutError("no connection")) == "no connection"
