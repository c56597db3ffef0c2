"""Where many examples came from, as one document in PROV-JSON that is never whole in memory.

`shared/dataset/prov_document.py` says the same of one record with the `prov` library, which needs all of a document at
once; a test holds both against each other.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from types import MappingProxyType

import orjson
from prov.serializers.provjson import encode_json_representation
from sqlalchemy.orm import Session

from shared.dataset.prov_terms import NAMESPACE, PREFIX, Element, Relation, element_of, how, name_of, relation_of, said
from shared.store.gathered import gather, gathered_edges, gathered_nodes
from shared.store.lineage import KINDS

NOTHING: Mapping[str, Collection[str]] = MappingProxyType({})
CHUNK = 1 << 16  # characters, or a little more
ENDS = {
    Relation.GENERATION: ("prov:entity", "prov:activity"),
    Relation.USAGE: ("prov:activity", "prov:entity"),
    Relation.ASSOCIATION: ("prov:activity", "prov:agent"),
    Relation.DERIVATION: ("prov:generatedEntity", "prov:usedEntity"),
    Relation.DELEGATION: ("prov:delegate", "prov:responsible"),
}


def prov_chunks(
    session: Session, examples: Iterable[uuid.UUID], without: Mapping[str, Collection[str]] = NOTHING
) -> Iterator[str]:
    """The pieces of a document with these examples and all that they came from, each record once; the same text for the
    same examples in whatever order. A record's id is `ei:KIND.ID`. `without` names attributes to leave out, by kind.

    It makes temporary tables in the session's transaction, which must be allowed to write, and commits nothing.
    Raises `NoSuchExampleError` before the first piece.
    """
    gather(session, examples)
    yield from _chunks(_pieces(session, without))


def _chunks(pieces: Iterable[str]) -> Iterator[str]:
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


def _pieces(session: Session, without: Mapping[str, Collection[str]]) -> Iterator[str]:
    yield f'{{\n"prefix": {_json({PREFIX: NAMESPACE})}'
    for element in Element:
        yield from _section(element, _elements(session, element, without))
    numbers = count(1)
    for relation in Relation:
        yield from _section(relation, _relations(session, relation, numbers))
    yield "\n}\n"


def _section(name: str, entries: Iterable[str]) -> Iterator[str]:
    """A section's text; nothing if it is empty."""
    before = f',\n"{name}": {{\n'
    for entry in entries:
        yield before + entry
        before = ",\n"
    if before == ",\n":
        yield "\n}"


def _elements(session: Session, element: Element, without: Mapping[str, Collection[str]]) -> Iterator[str]:
    for kind in KINDS:
        if element_of(kind) is element:
            left_out = without.get(kind, ())
            for node in gathered_nodes(session, kind):
                told = {name: value for name, value in node.attributes.items() if name not in left_out}
                attributes = {name: _value(value) for name, value in said(kind, told)}
                yield f'"{PREFIX}:{name_of(kind, node.id)}": {_json(attributes)}'


def _relations(session: Session, relation: Relation, numbers: Iterator[int]) -> Iterator[str]:
    """Kinds and relations are words of ours, and ids are ids: nothing in them needs to be escaped."""
    one, other = ENDS[relation]
    for kind in KINDS:
        parents = [parent for parent in KINDS if relation_of(kind, parent) is relation]
        role, _ = how(kind, "")
        for edge in gathered_edges(session, kind, parents) if parents else ():
            yield (
                f'"_:id{next(numbers)}": {{"{one}":"{PREFIX}:{name_of(kind, edge.child)}",'
                f'"{other}":"{PREFIX}:{name_of(edge.parent_kind, edge.parent)}","{role}":"{PREFIX}:{edge.relation}"}}'
            )


def _value(value: object) -> object:
    return value if isinstance(value, str) else encode_json_representation(value)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
