"""Any record of the lineage by its kind and id, or found by the beginning of its id."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from services.explorer import asking
from services.explorer.choices import why
from services.explorer.links import record_page
from services.explorer.reading import reading
from services.explorer.rendering import page
from services.explorer.routes import shown_at
from services.explorer.short_ids import way_to
from services.explorer.tree import tree_of
from shared.store.lineage import Node, find_record
from shared.store.views.lineage import near_lineage
from shared.store.views.offspring import MOST_COUNTED, offspring
from shared.store.views.records import VIEWS, Record, nodes, record

router = APIRouter()

# What a column refers to; a list of keys is a list of links.
REFERENCES = {
    "candidate_id": "candidate",
    "candidate_ids": "candidate",
    "choice_id": "candidate",
    "file_id": "origin_file",
    "generation_id": "generation",
    "instance_id": "instance",
    "instruction_id": "instruction",
    "instruction_ids": "instruction",
    "model_id": "model",
    "origin_id": "origin",
    "seed_task_ids": "seed_task",
    "verdict_id": "verdict",
}
TEXTS = ("text", "instruction", "input", "output", "prompt", "response", "detail", "record")
TEMPLATE = "source"  # a text of a prompt template; of an imported file it is a word on where it is from
# Columns that have a place of their own on the page, and those that the tree tells better.
ELSEWHERE = {"run", "run_id", "file", "scores", "most_similar", "instances", "seed_task_ids", "instruction_ids", *TEXTS}


@shown_at(router, "/records")
def find(request: Request) -> Response:
    """The way to the record whose id begins like this."""
    with reading(request) as session:
        kind, id = find_record(session, request.query_params.get("id", "")[:80], VIEWS)
    return RedirectResponse(record_page(kind, id) or "/", status_code=303)


@shown_at(router, "/records/{kind}/{id}")
def one_record(request: Request, kind: str, id: str) -> Response:
    """All that is known of a record, what it came from, and what came of it."""
    if way := way_to(request, kind, id):
        return way
    key = asking.key(id)
    if kind == "example":
        return RedirectResponse(f"/examples/{key}", status_code=308)
    with reading(request) as session:
        found = record(session, kind, key)
        made = offspring(session, kind, key)
        lineage = near_lineage(session, kind, key)
        similar = _similar(session, found.values.get("most_similar"))
        voices = _voices(session, found.values.get("candidate_ids"))
    texts = _texts(found)
    return page(
        "record.html",
        kind=kind,
        id=key,
        name=_name(found),
        values=found.values,
        texts=texts,
        facts={name: value for name, value in found.values.items() if name not in ELSEWHERE | texts.keys()},
        references=REFERENCES,
        similar=similar,
        voices=voices,
        why=why(found.values) if kind == "verdict" else None,
        marks=lineage.nodes[key].retracted,
        tree=tree_of(lineage),
        offspring=made,
        most_counted=MOST_COUNTED,
    )


def _texts(found: Record) -> dict[str, str]:
    """What is long, by its column; JSON is written as people read it."""
    names = (*TEXTS, TEMPLATE) if found.kind == "prompt_template" else TEXTS
    given = {name: found.values[name] for name in names if found.values.get(name)}
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        for name, value in given.items()
    }


def _name(found: Record) -> str | None:
    """What a person calls it, if it has a name."""
    match found.kind:
        case "model":
            return str(found.values["model"])
        case "prompt_template":
            return f"{found.values['template']} v{found.values['template_version']}"
        case "seed_task":
            return str(found.values["source_id"])
        case "origin":
            return f"{found.values['file']}, line {found.values['line']}"
        case "origin_file":
            return str(found.values["file"])
        case _:
            return None


def _similar(session: Session, matches: Sequence[Mapping[str, Any]] | None) -> list[tuple[Node, float]]:
    """What an instruction is most similar to: instructions, of this run or another, and seed tasks."""
    scores = {uuid.UUID(match["id"]): float(match["score"]) for match in matches or ()}
    known = {
        id: node
        for kind in ("instruction", "seed_task")
        for id, node in nodes(session, [(kind, id) for id in scores]).items()
        if node.attributes
    }
    return [(known[id], score) for id, score in scores.items() if id in known]


def _voices(session: Session, candidates: Sequence[uuid.UUID] | None) -> dict[uuid.UUID, str]:
    """Whose the outputs are that a verdict compared."""
    found = nodes(session, [("candidate", id) for id in candidates or ()])
    return {id: node.attributes["voice"] for id, node in found.items()}
