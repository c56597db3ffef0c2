"""What a person is told when a page can't be shown, and the status that goes with it."""

from dataclasses import dataclass

from psycopg import errors
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.explorer.asking import BadQuestionError
from services.explorer.reading import LONGEST_S
from shared.errors import EnsembleInstructError
from shared.store.lineage import RecordAmbiguousError
from shared.store.session import cause, passes

AGAIN_AFTER_S = 5
_OLDER = (errors.InvalidSchemaName, errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)


@dataclass(frozen=True, slots=True)
class Failure:
    """A page in place of the one that was asked for; `known` if nobody needs to look into the log."""

    status: int
    title: str
    told: str
    known: bool = True


NOT_FOUND = Failure(404, "There is no such page", "The address is not one of the explorer's.")
ONLY_GET = Failure(405, "This can't be done here", "The explorer shows what there is, and changes nothing.")
UNFORESEEN = Failure(500, "Something went wrong", "The explorer's log says what.", known=False)


def of_request(error: EnsembleInstructError) -> Failure:
    """What was asked for is not there, or was asked for in a wrong way."""
    if isinstance(error, BadQuestionError | RecordAmbiguousError):
        return Failure(400, "The question can't be answered", str(error))
    return Failure(404, "This is not there", str(error))


def of_database(error: SQLAlchemyError) -> Failure:
    """What became of a question to Postgres."""
    said = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(said, errors.QueryCanceled):
        return Failure(
            503,
            "This takes too long",
            f"Postgres had no answer after {LONGEST_S} seconds. Ask for less: one task type, one voice, other words.",
        )
    if isinstance(said, errors.InsufficientPrivilege):
        return Failure(
            503,
            "The database is closed to this login",
            f"Postgres says: {cause(error)}. DATABASE_URL needs a login that may read the schema lineage: "
            "ensemble-instruct db create-user NAME --role reader",
        )
    if isinstance(said, _OLDER):
        return Failure(
            503,
            "The database is not up to date",
            f"Postgres says: {cause(error)}. Bring its tables up to date: ensemble-instruct db upgrade",
        )
    if isinstance(error, PoolTimeoutError):
        return Failure(503, "Too many are asking at once", "Every connection to Postgres is in use. Try again.")
    if passes(error) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return Failure(
            503,
            "The database does not answer",
            f"Postgres is away: {cause(error)}. Load this page again when it is back.",
        )
    return UNFORESEEN
