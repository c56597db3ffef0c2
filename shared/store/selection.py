"""The examples that an export is asked for, in a table of its transaction's own, and why some of them stay out.

Each example has at most one reason, the first that was found, so the filters are to be applied in the order of
`LeftOut`. All is done in Postgres, but for what only this program can decide, which comes in pages.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.store.cursors import pages
from shared.store.tables.exports import LeftOut

ROWS_AT_ONCE = 1000

_TABLE = """
    CREATE TEMPORARY TABLE selection (
      example_id uuid PRIMARY KEY, root_id uuid NOT NULL, split text, lot bytea, run_place bigint NOT NULL,
      kind integer NOT NULL, position bigint NOT NULL, reason text, detail jsonb
    ) ON COMMIT DROP
"""
_ORDER = "lot, run_place, kind, position, example_id"
_LOT = "sha256(convert_to(CAST(:shuffle AS text) || ':' || e.id, 'UTF8'))"
_ROOT = "JOIN instances n ON n.id = e.instance_id JOIN instructions i ON i.id = n.instruction_id"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an export is made of: judgements in their order, with or without what came after the target was met.

    With a number to shuffle by, the examples stand in the order of a hash of it and their ids.
    """

    judgement_ids: Sequence[uuid.UUID]
    surplus: bool = False
    shuffle: int | None = None


class Kept(NamedTuple):
    """An example that stays in; the root of its lineage, and its split, if that is known already."""

    example_id: uuid.UUID
    root_id: uuid.UUID
    split: str | None


class Compared(NamedTuple):
    """The texts of an example that stays in so far."""

    example_id: uuid.UUID
    instruction: str
    input: str
    output: str


def gather(session: Session, asked: Asked) -> int:
    """Take in all examples of the judgements; returns how many.

    The root is the call that proposed the instruction, or the imported record that it stood in.
    """
    session.execute(text(_TABLE))
    lot = "NULL" if asked.shuffle is None else _LOT
    taken = session.execute(
        text(
            f"""
            INSERT INTO selection (example_id, root_id, lot, run_place, kind, position)
            SELECT e.id, coalesce(i.generation_id, i.origin_id), {lot}, a.place,
              CASE e.task_type WHEN 'input_output' THEN 0 ELSE 1 END, e.position
            FROM unnest(CAST(:judgements AS uuid[])) WITH ORDINALITY AS a (judgement_id, place)
            JOIN examples e ON e.judgement_id = a.judgement_id {_ROOT}
            WHERE :surplus OR NOT e.surplus
            """  # noqa: S608 - our names
        ),
        {"judgements": list(asked.judgement_ids), "surplus": asked.surplus}
        | ({} if asked.shuffle is None else {"shuffle": str(asked.shuffle)}),
    )
    session.execute(text("ANALYZE selection"))
    return taken.rowcount  # type: ignore[attr-defined,no-any-return]  # a statement that writes has it


def gather_again(session: Session, export_id: uuid.UUID) -> int:
    """Take in what an earlier export held, in its order and splits, and what it left out; returns how many it held."""
    session.execute(text(_TABLE))
    taken = session.execute(
        text(
            f"""
            INSERT INTO selection (example_id, root_id, split, run_place, kind, position)
            SELECT e.id, coalesce(i.generation_id, i.origin_id), x.split, 0, 0, x.place
            FROM export_rows x JOIN examples e ON e.id = x.example_id {_ROOT} WHERE x.export_id = :export
            """  # noqa: S608 - our names
        ),
        {"export": export_id},
    )
    session.execute(
        text(
            """
            INSERT INTO selection (example_id, root_id, run_place, kind, position, reason, detail)
            SELECT example_id, example_id, 0, 0, 0, reason, detail FROM export_exclusions WHERE export_id = :export
            """
        ),
        {"export": export_id},
    )
    session.execute(text("ANALYZE selection"))
    return taken.rowcount  # type: ignore[attr-defined,no-any-return]  # a statement that writes has it


def leave_out_retracted(session: Session) -> None:
    """Leave out what is retracted, with the numbers of the retractions."""
    session.execute(
        text(
            """
            UPDATE selection s SET reason = :reason, detail = jsonb_build_object('retractions', m.numbers)
            FROM (
              SELECT r.record_id, jsonb_agg(t.id ORDER BY t.id) AS numbers
              FROM retracted_records r JOIN retractions t ON t.id = r.retraction_id AND t.undone_at IS NULL
              WHERE r.kind = 'example' GROUP BY r.record_id
            ) m WHERE m.record_id = s.example_id AND s.reason IS NULL
            """
        ),
        {"reason": LeftOut.RETRACTED},
    )


def leave_out_others(session: Session, passing: Iterable[Sequence[uuid.UUID]]) -> None:
    """Leave out whatever is not in the pages of those that a condition holds for."""
    session.execute(text("CREATE TEMPORARY TABLE passing (example_id uuid PRIMARY KEY) ON COMMIT DROP"))
    for page in passing:
        with _cursor(session).copy("COPY passing FROM STDIN") as copy:
            for example_id in page:
                copy.write_row((example_id,))
    session.execute(
        text(
            """
            UPDATE selection s SET reason = :reason WHERE reason IS NULL
            AND NOT EXISTS (SELECT FROM passing p WHERE p.example_id = s.example_id)
            """
        ),
        {"reason": LeftOut.WHERE},
    )


def leave_out_disagreeing(session: Session, least: float) -> None:
    """Leave out what agrees less with the other candidates, or has none to agree with."""
    session.execute(
        text(
            """
            UPDATE selection s SET reason = :reason, detail = jsonb_build_object('agreement', e.agreement)
            FROM lineage.examples e WHERE e.id = s.example_id AND s.reason IS NULL
            AND coalesce(e.agreement < :least, true)
            """
        ),
        {"reason": LeftOut.AGREEMENT, "least": least},
    )


def compared_pages(session: Session) -> Iterator[list[Compared]]:
    """The texts of what stays in so far, in pages."""
    statement = """
        SELECT s.example_id, e.instruction, e.input, e.output
        FROM selection s JOIN examples e ON e.id = s.example_id WHERE s.reason IS NULL
    """
    for page in pages(session, statement, ROWS_AT_ONCE):
        yield [Compared(*row) for row in page]


def leave_out_contaminated(session: Session, found: Mapping[uuid.UUID, Mapping[str, object]]) -> None:
    """Leave out these examples, each with what it has in common with an evaluation set."""
    told = [{"example_id": str(id), "detail": detail} for id, detail in found.items()]
    if told:
        session.execute(
            text(
                """
                UPDATE selection s SET reason = :reason, detail = f.detail
                FROM jsonb_to_recordset(CAST(:found AS jsonb)) AS f (example_id uuid, detail jsonb)
                WHERE f.example_id = s.example_id AND s.reason IS NULL
                """
            ),
            {"reason": LeftOut.CONTAMINATED, "found": orjson.dumps(told).decode()},
        )


def leave_out_beyond(session: Session, limit: int) -> None:
    """Leave out what comes after the first so many."""
    session.execute(
        text(
            f"""
            UPDATE selection s SET reason = :reason FROM (
              SELECT example_id FROM selection WHERE reason IS NULL ORDER BY {_ORDER} OFFSET :limit
            ) beyond WHERE beyond.example_id = s.example_id
            """  # noqa: S608 - our names
        ),
        {"reason": LeftOut.LIMIT, "limit": limit},
    )


def count_left_out(session: Session) -> dict[LeftOut, int]:
    """How many stay out for each reason, in the order of the filters."""
    rows = session.execute(text("SELECT reason, count(*) FROM selection WHERE reason IS NOT NULL GROUP BY 1"))
    counts: dict[str, int] = dict(rows.all())
    return {reason: counts[reason] for reason in LeftOut if reason in counts}


def count_kept(session: Session) -> int:
    """How many stay in."""
    return int(session.scalar(text("SELECT count(*) FROM selection WHERE reason IS NULL")) or 0)


def kept_pages(session: Session) -> Iterator[list[Kept]]:
    """What stays in, in its order, in pages."""
    statement = f"SELECT example_id, root_id, split FROM selection WHERE reason IS NULL ORDER BY {_ORDER}"  # noqa: S608 - our words
    for page in pages(session, statement, 10 * ROWS_AT_ONCE):
        yield [Kept(*row) for row in page]


def left_out_pages(session: Session) -> Iterator[list[tuple[uuid.UUID, str]]]:
    """What stays out with its reason, by the examples' keys, in pages."""
    statement = "SELECT example_id, reason FROM selection WHERE reason IS NOT NULL ORDER BY example_id"
    for page in pages(session, statement, 10 * ROWS_AT_ONCE):
        yield [(row[0], row[1]) for row in page]


def _cursor(session: Session) -> Any:
    return session.connection().connection.cursor()
