"""The things that records are traced to, by the names that people know them by."""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.errors import UserError
from shared.store.descent import Root
from shared.store.lineage import RecordNotFoundError, find_record
from shared.store.tables.retractions import RootKind


class RootNotFoundError(UserError):
    """There is no {kind} '{name}'. {mend}"""


class AmbiguousRootError(UserError):
    """'{name}' is the name of several {kind}s: {found}. Name one of them by its id."""


_FIND = {
    RootKind.SEED: (
        "SELECT id FROM seed_tasks WHERE source_id = :name OR CAST(id AS text) = :name",
        "It is named by its id in the seed file.",
    ),
    RootKind.MODEL: (
        "SELECT id FROM models m WHERE :name IN (name, served_model, CAST(id AS text)) "
        "OR EXISTS (SELECT FROM servers s WHERE s.model_id = m.id AND s.served_model = :name)",
        "It is named as in the job, or as its server knows it; `ensemble-instruct status RUN` lists a run's.",
    ),
    RootKind.PROMPT: (
        "SELECT id FROM prompt_templates WHERE :name IN (name, name || '@' || version, sha256, CAST(id AS text))",
        "It is named by its name, NAME@VERSION or its sha256; `ensemble-instruct lineage ID` shows an example's.",
    ),
    RootKind.ORIGIN_FILE: (
        "SELECT id FROM origin_files WHERE :name IN (name, sha256, CAST(id AS text))",
        "It is named by its name without folders, or its sha256; lineage.origin_files lists them all.",
    ),
}


def find_roots(session: Session, kind: RootKind, name: str) -> list[Root]:
    """The things of this kind and name: a model, or an imported file, is there once for each run.

    An instruction or an example is named by its id or the beginning; an origin as well, and its file's name means that.
    Raises `RootNotFoundError`, and what `find_record` raises.
    """
    if kind is RootKind.ORIGIN:
        return _find_origins(session, name)
    if kind in (RootKind.INSTRUCTION, RootKind.EXAMPLE):
        found_kind, id = find_record(session, name)
        if found_kind != kind:
            raise RootNotFoundError(kind=kind, name=name, mend=f"It is the id of: {found_kind.replace('_', ' ')}.")
        return [Root(kind, id)]
    query, mend = _FIND[kind]
    found = session.execute(text(query), {"name": name}).scalars().all()
    if not found:
        raise RootNotFoundError(kind=kind.replace("_", " "), name=name, mend=mend)
    return [Root(kind, id) for id in found]


def _find_origins(session: Session, name: str) -> list[Root]:
    with suppress(RootNotFoundError):
        return find_roots(session, RootKind.ORIGIN_FILE, name)
    try:
        kind, id = find_record(session, name)
    except RecordNotFoundError:
        mend = f"{_FIND[RootKind.ORIGIN_FILE][1]} A record of one is named by its id."
        raise RootNotFoundError(kind="imported file", name=name, mend=mend) from None
    if kind not in (RootKind.ORIGIN, RootKind.ORIGIN_FILE):
        raise RootNotFoundError(kind="imported file", name=name, mend=f"It is the id of: {kind.replace('_', ' ')}.")
    return [Root(RootKind(kind), id)]


_CALLED = {
    RootKind.SEED: "SELECT id, source_id AS called, CAST(id AS text) AS thing, source_id AS fully FROM seed_tasks k",
    RootKind.PROMPT: (
        "SELECT id, name || '@' || version AS called, sha256 AS thing, name || '@' || version AS fully "
        "FROM prompt_templates k"
    ),
    RootKind.MODEL: (
        "SELECT k.id, k.name AS called, coalesce(k.served_model, s.served_model) AS thing, "
        "concat(k.name, ' of run ', r.name, ', served as ' || coalesce(k.served_model, s.served_model)) AS fully "
        "FROM models k JOIN runs r ON r.id = k.run_id LEFT JOIN LATERAL ("
        "  SELECT max(served_model) AS served_model FROM servers WHERE model_id = k.id"
        ") s ON true"
    ),
    RootKind.ORIGIN_FILE: (
        "SELECT k.id, k.name AS called, k.sha256 AS thing, concat(k.name, ' of run ', r.name) AS fully "
        "FROM origin_files k JOIN runs r ON r.id = k.run_id"
    ),
    RootKind.ORIGIN: (
        "SELECT k.id, NULL AS called, CAST(k.id AS text) AS thing, "
        "concat('line ', k.line, ' of ', f.name, ' of run ', r.name) AS fully "
        "FROM origins k JOIN origin_files f ON f.id = k.file_id JOIN runs r ON r.id = f.run_id"
    ),
}


def name_of(session: Session, roots: Sequence[Root], name: str) -> str:
    """What people call the roots that were found by this name, which must be one thing: models of several runs are
    unless their servers know them by different names, imported files if they have the same bytes. Raises
    `AmbiguousRootError`."""
    kind, ids = roots[0].kind, [root.id for root in roots]
    if kind not in _CALLED:
        return str(ids[0])
    rows = session.execute(text(f"{_CALLED[kind]} WHERE k.id = ANY (:ids) ORDER BY fully, id"), {"ids": ids}).all()
    if len({row.thing for row in rows if row.thing}) > 1:
        found = "; ".join(f"{row.fully} ({row.id})" for row in rows)
        raise AmbiguousRootError(name=name, kind=kind.replace("_", " "), found=found)
    if kind is RootKind.PROMPT:
        return str(rows[0].fully)
    by_id = kind in (RootKind.ORIGIN, RootKind.ORIGIN_FILE) and name not in (rows[0].called, rows[0].thing)
    return f"{rows[0].fully} ({rows[0].id})" if by_id or name == str(rows[0].id) else name
