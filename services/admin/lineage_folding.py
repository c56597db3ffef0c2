"""What a picture of a lineage shows: all of it, or the demonstrations of each call as one box that says how many."""

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from services.admin.console import printable
from services.record_summary import summary
from shared.store.lineage import Edge, Lineage, Node

SHOWN = "shown"
DEMONSTRATIONS = "demonstrations"
NAMED = 3  # of a call's demonstrations

ByChild = dict[uuid.UUID, list[Edge]]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A box: a record, or demonstrations, which have no `id`. `text` says what it is, in a line of any length."""

    kind: str
    id: uuid.UUID | None
    text: str

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{in_words(self.kind)} {str(self.id or '')[:8]}".rstrip()

    @property
    def described(self) -> str:
        """All of it."""
        return f"{in_words(self.kind)}{f' {self.id}' if self.id else ''}: {self.text}"


@dataclass(frozen=True, slots=True)
class Link:
    """A line: the box `child` came from the box `parent`."""

    child: str
    relation: str
    parent: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes by name, the lines between them, and how many records are left out, as only demonstrations lead to them."""

    root: Drawn
    boxes: dict[str, Drawn]
    links: list[Link]
    left_out: int = 0


def in_words(name: str) -> str:
    """A kind or relation as a person writes it."""
    return name.replace("_", " ")


def whole(lineage: Lineage) -> Picture:
    """Every record, and every edge."""
    boxes = {str(id): _drawn(node) for id, node in lineage.nodes.items()}
    links = [Link(str(edge.child), edge.relation, str(edge.parent)) for edge in lineage.edges]
    return Picture(boxes[str(lineage.root)], boxes, links)


def folded(lineage: Lineage) -> Picture:
    """Demonstrations in one box a call; calls that were shown the same ones share it."""
    by_child: ByChild = {id: [] for id in lineage.nodes}
    for edge in lineage.edges:
        by_child[edge.child].append(edge)
    kept = _kept(lineage.root, by_child)
    boxes = {str(id): _drawn(lineage.nodes[id]) for id in kept}
    links = []
    shown: set[uuid.UUID] = set()
    for id in kept:
        links += [Link(str(id), e.relation, str(e.parent)) for e in by_child[id] if e.relation != SHOWN]
        demonstrated = [edge.parent for edge in by_child[id] if edge.relation == SHOWN]
        if demonstrated:
            name = f"{SHOWN}.{uuid.uuid5(uuid.NAMESPACE_OID, ' '.join(sorted(map(str, demonstrated))))}"
            boxes[name] = _demonstrations(lineage.nodes[parent] for parent in demonstrated)
            links.append(Link(str(id), SHOWN, name))
            shown.update(demonstrated)
    return Picture(boxes[str(lineage.root)], boxes, links, len(lineage.nodes.keys() - kept.keys() - shown))


def _kept(root: uuid.UUID, by_child: ByChild) -> dict[uuid.UUID, None]:
    """The root and what it leads back to without any demonstration, the nearest first."""
    kept, waiting = {root: None}, [root]
    for id in waiting:
        for edge in by_child[id]:
            if edge.relation != SHOWN and edge.parent not in kept:
                kept[edge.parent] = None
                waiting.append(edge.parent)
    return kept


def _drawn(node: Node) -> Drawn:
    return Drawn(node.kind, node.id, printable(summary(node)))


def _demonstrations(nodes: Iterable[Node]) -> Drawn:
    """Seed tasks first, by the ids in their file."""
    found = sorted(nodes, key=lambda node: (node.kind != "seed_task", summary(node)))
    counts = Counter(in_words(node.kind) for node in found)
    names = [str(node.attributes.get("source_id") or summary(node)) for node in found[:NAMED]]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    told = ", ".join(f"{count} {kind}(s)" for kind, count in counts.items())
    return Drawn(DEMONSTRATIONS, None, printable(f"{told}: {', '.join(names)}{more}"))
