"""A lineage in the W3C's words, PROV-JSON (https://www.w3.org/submissions/prov-json/), for tools that know no Postgres.

LM calls and verdicts are activities, models and servers agents, all other records entities.
"""

import json
from typing import Any

from prov.identifier import QualifiedName
from prov.model import ProvDocument

from shared.store.lineage import Lineage, Node

NAMESPACE = "urn:ensemble-instruct:"
PREFIX = "ei"
ACTIVITIES = frozenset({"generation", "verdict"})
AGENTS = frozenset({"model", "server"})


def prov_json(lineage: Lineage) -> str:
    """The whole graph as one document; a record's id there is `ei:KIND.ID`."""
    document = ProvDocument()
    namespace = document.add_namespace(PREFIX, NAMESPACE)
    names = {id: namespace[f"{node.kind}.{id}"] for id, node in lineage.nodes.items()}
    for id, node in lineage.nodes.items():
        _add(document, names[id], node)
    for edge in lineage.edges:
        child, parent = (lineage.nodes[each].kind for each in (edge.child, edge.parent))
        _relate(document, names[edge.child], child, names[edge.parent], parent, edge.relation)
    return document.serialize(format="json", indent=2) or ""


def _add(document: ProvDocument, name: QualifiedName, node: Node) -> None:
    said = [(f"{PREFIX}:{key}", _literal(value)) for key, value in node.attributes.items() if value is not None]
    retracted = [(f"{PREFIX}:retracted", mark.reason) for mark in node.retracted]
    attributes = [("prov:type", f"{PREFIX}:{node.kind}"), *said, *retracted]
    if node.kind in ACTIVITIES:
        document.activity(name, other_attributes=attributes)
    elif node.kind in AGENTS:
        document.agent(name, attributes)
    else:
        document.entity(name, attributes)


def _literal(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


def _relate(
    document: ProvDocument, child: QualifiedName, kind: str, parent: QualifiedName, parent_kind: str, relation: str
) -> None:
    how = [("prov:role", f"{PREFIX}:{relation}")] if kind in ACTIVITIES else [("prov:type", f"{PREFIX}:{relation}")]
    if kind in AGENTS:
        document.delegation(child, parent, other_attributes=[("prov:type", f"{PREFIX}:{relation}")])
    elif kind in ACTIVITIES and parent_kind in AGENTS:
        document.association(child, parent, other_attributes=how)
    elif kind in ACTIVITIES:
        document.usage(child, parent, other_attributes=how)
    elif parent_kind in ACTIVITIES:
        document.generation(child, parent, other_attributes=how)
    else:
        document.derivation(child, parent, other_attributes=how)
