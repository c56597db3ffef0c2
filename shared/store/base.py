"""What all tables share: the naming convention, the column types, the text enums."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import DateTime, ForeignKey, MetaData, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column


class Base(DeclarativeBase):
    """The root of the tables; constraint names follow one convention, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain class attribute
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
        str: Text,
        StrEnum: Text,
    }


Key = Annotated[uuid.UUID, mapped_column(Uuid, primary_key=True)]
CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
RunId = Annotated[uuid.UUID, mapped_column(ForeignKey("runs.id"))]


def one_of(column: str, values: type[StrEnum]) -> str:
    """The SQL condition that `column` holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"
