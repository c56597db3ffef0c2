"""What the records and edges of a lineage are in the W3C's terms (https://www.w3.org/TR/prov-dm/).

LM calls and verdicts are activities, models and servers agents, all other records entities.
"""

import json
from enum import StrEnum
from typing import Any

NAMESPACE = "urn:ensemble-instruct:"
PREFIX = "ei"
ACTIVITIES = frozenset({"generation", "verdict"})
AGENTS = frozenset({"model", "server"})


class Element(StrEnum):
    """What a record is; the word is PROV-JSON's."""

    ENTITY = "entity"
    ACTIVITY = "activity"
    AGENT = "agent"


class Relation(StrEnum):
    """What an edge is; the word is PROV-JSON's."""

    GENERATION = "wasGeneratedBy"
    USAGE = "used"
    ASSOCIATION = "wasAssociatedWith"
    DERIVATION = "wasDerivedFrom"
    DELEGATION = "actedOnBehalfOf"


def element_of(kind: str) -> Element:
    """What the records of a kind are."""
    if kind in ACTIVITIES:
        return Element.ACTIVITY
    return Element.AGENT if kind in AGENTS else Element.ENTITY


def relation_of(child_kind: str, parent_kind: str) -> Relation:
    """What an edge between such records is."""
    child, parent = element_of(child_kind), element_of(parent_kind)
    if child is Element.AGENT:
        return Relation.DELEGATION
    if child is Element.ACTIVITY:
        return Relation.ASSOCIATION if parent is Element.AGENT else Relation.USAGE
    return Relation.GENERATION if parent is Element.ACTIVITY else Relation.DERIVATION


def name_of(kind: str, id: object) -> str:
    """A record's local name."""
    return f"{kind}.{id}"


def how(child_kind: str, relation: str) -> tuple[str, str]:
    """The attribute that says by which of our relations an edge goes: activities have roles, all else types."""
    return ("prov:role" if child_kind in ACTIVITIES else "prov:type"), f"{PREFIX}:{relation}"


def said(kind: str, attributes: dict[str, Any]) -> list[tuple[str, Any]]:
    """A record's attributes, its kind the first; what is not known is left out."""
    known = [(f"{PREFIX}:{name}", _literal(value)) for name, value in attributes.items() if value is not None]
    return [("prov:type", f"{PREFIX}:{kind}"), *known]


def _literal(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)
