"""What a person asks for in an address, read and checked."""

import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote

from shared.errors import UserError
from shared.method.tasks import TaskType
from shared.store.views.examples import Place

Params = Mapping[str, str]
E = TypeVar("E", bound=StrEnum)

LONGEST_WORDS = 200
MOST_NUMBER = 2**31 - 1
MOST_POSITION = 2**63 - 1


class BadQuestionError(UserError):
    """'{value}' is no {name}: {mend}."""


def refuse_nulls(address: str) -> None:
    """Raises `BadQuestionError`: no text in Postgres has a null character."""
    if "\0" in unquote(address):
        raise BadQuestionError(value="\N{SYMBOL FOR NULL}", name="part of an address", mend="leave it out")


def number(params: Params, name: str) -> int:
    """A whole number from 0; 0 if it is not given. Raises `BadQuestionError`."""
    return _whole(params.get(name) or "0", name, MOST_NUMBER)


def _whole(written: str, name: str, most: int) -> int:
    if not (written.isascii() and written.isdecimal() and len(written) < 20 and int(written) <= most):
        raise BadQuestionError(value=written, name=name, mend="write a whole number from 0")
    return int(written)


def choice(params: Params, name: str, kinds: type[E]) -> E | None:
    """One of an enumeration's values. Raises `BadQuestionError`."""
    written = params.get(name)
    if not written:
        return None
    if written not in list(kinds):
        raise BadQuestionError(value=written, name=name, mend=f"write {' or '.join(kinds)}")
    return kinds(written)


def words(params: Params, name: str) -> str | None:
    """Words to look for, outer spaces left out. Raises `BadQuestionError`."""
    written = params.get(name, "").strip()
    if len(written) > LONGEST_WORDS:
        short = f"{written[:20]}…"
        raise BadQuestionError(value=short, name=name, mend=f"write {LONGEST_WORDS} characters at most")
    return written or None


def place(params: Params, name: str) -> Place | None:
    """Where an example stands in its run, as `written` by the page before. Raises `BadQuestionError`."""
    written = params.get(name)
    if not written:
        return None
    task_type, _, position = written.rpartition(":")
    if task_type not in list(TaskType):
        raise BadQuestionError(value=written, name=name, mend="write a task type, a colon and a position")
    return Place(TaskType(task_type), _whole(position, name, MOST_POSITION))


def written(place: Place) -> str:
    """What `place` reads."""
    return f"{place.task_type}:{place.position}"


def key(written: str, name: str = "id") -> uuid.UUID:
    """The id of a record. Raises `BadQuestionError`."""
    try:
        return uuid.UUID(written)
    except ValueError:
        mend = "ids look like 34d05a31-5f0e-5a0e-9d6c-2f3a54c1e7b0"
        raise BadQuestionError(value=written[:60], name=name, mend=mend) from None
