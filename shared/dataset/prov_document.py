"""A lineage in the W3C's words: PROV-JSON (https://www.w3.org/submissions/prov-json/)."""

from prov.identifier import QualifiedName
from prov.model import ProvDocument

from shared.dataset.prov_terms import NAMESPACE, PREFIX, Element, Relation, element_of, how, name_of, relation_of, said
from shared.store.lineage import Edge, Lineage, Node


def prov_json(lineage: Lineage) -> str:
    """The whole graph as one document; a record's id there is `ei:KIND.ID`."""
    document = ProvDocument()
    namespace = document.add_namespace(PREFIX, NAMESPACE)
    names = {id: namespace[name_of(node.kind, id)] for id, node in lineage.nodes.items()}
    for id, node in lineage.nodes.items():
        _add(document, names[id], node)
    for edge in lineage.edges:
        _relate(document, lineage, names[edge.child], names[edge.parent], edge)
    return document.serialize(format="json", indent=2) or ""


def _add(document: ProvDocument, name: QualifiedName, node: Node) -> None:
    retracted = [(f"{PREFIX}:retracted", mark.reason) for mark in node.retracted]
    attributes = [*said(node.kind, node.attributes), *retracted]
    match element_of(node.kind):
        case Element.ACTIVITY:
            document.activity(name, other_attributes=attributes)
        case Element.AGENT:
            document.agent(name, attributes)
        case Element.ENTITY:
            document.entity(name, attributes)


def _relate(document: ProvDocument, lineage: Lineage, child: QualifiedName, parent: QualifiedName, edge: Edge) -> None:
    child_kind, parent_kind = (lineage.nodes[each].kind for each in (edge.child, edge.parent))
    attributes = [how(child_kind, edge.relation)]
    match relation_of(child_kind, parent_kind):
        case Relation.GENERATION:
            document.generation(child, parent, other_attributes=attributes)
        case Relation.USAGE:
            document.usage(child, parent, other_attributes=attributes)
        case Relation.ASSOCIATION:
            document.association(child, parent, other_attributes=attributes)
        case Relation.DERIVATION:
            document.derivation(child, parent, other_attributes=attributes)
        case Relation.DELEGATION:
            document.delegation(child, parent, other_attributes=attributes)
