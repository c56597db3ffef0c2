"""Keys by the hundred in one parameter. psycopg writes a list item by item, which took longer than the statement."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Dialect, any_, bindparam
from sqlalchemy.types import UserDefinedType


def uuid_array(keys: Iterable[uuid.UUID | str]) -> str:
    """Keys as Postgres writes a `uuid[]`."""
    return "{" + ",".join(map(str, keys)) + "}"


def int_array(numbers: Iterable[int]) -> str:
    """Numbers as Postgres writes an `int[]`."""
    return "{" + ",".join(map(str, numbers)) + "}"


class _UuidArray(UserDefinedType[Iterable[uuid.UUID]]):
    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: object) -> str:
        return "UUID[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        return uuid_array


def uuids(keys: Iterable[uuid.UUID]) -> ColumnElement[Any]:
    """Keys as a `uuid[]` in a statement."""
    return bindparam(None, list(keys), _UuidArray())


def any_of(keys: Iterable[uuid.UUID]) -> ColumnElement[Any]:
    """What a key is compared with to be one of these, e.g. `Instance.id == any_of(keys)`."""
    return any_(uuids(keys))
