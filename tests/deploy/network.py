"""Which ways NetworkPolicies open: a small account of what a cluster's network does with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from services.kubernetes.overlay import NAMESPACE
from tests.deploy.rendering import Rendered, labels_of, name_of, pod_of, selects

OWN = {"kubernetes.io/metadata.name": NAMESPACE}


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, by what policies look at; its namespace by its labels."""

    labels: Mapping[str, str]
    namespace: Mapping[str, str]


def pod(rendered: Rendered, workload: str) -> Pod:
    """One of the pods of a workload."""
    (found,) = [each for each in rendered.workloads if name_of(each) == workload]
    return Pod(labels_of(pod_of(found)), OWN)


def elsewhere(namespace: str, labels: Mapping[str, str] | None = None) -> Pod:
    """A pod in another namespace."""
    return Pod(labels or {}, {"kubernetes.io/metadata.name": namespace})


def may_leave(rendered: Rendered, source: Pod, target: Pod | str, port: int, protocol: str = "TCP") -> bool:
    """Whether a pod of ours may speak to a pod or an address."""
    return _opens(rendered, source, target, port, protocol, "Egress", "egress", "to")


def may_enter(rendered: Rendered, source: Pod | str, target: Pod, port: int, protocol: str = "TCP") -> bool:
    """Whether a pod of ours may be spoken to by a pod or an address."""
    return _opens(rendered, target, source, port, protocol, "Ingress", "ingress", "from")


def may_speak(rendered: Rendered, source: Pod, target: Pod, port: int) -> bool:
    """Whether both sides of a way between two pods of ours are open."""
    return may_leave(rendered, source, target, port) and may_enter(rendered, source, target, port)


def _opens(
    rendered: Rendered, own: Pod, other: Pod | str, port: int, protocol: str, kind: str, field: str, peers: str
) -> bool:
    return any(
        _covers(rule, other, port, protocol, peers)
        for policy in rendered.of("NetworkPolicy")
        if kind in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], own.labels)
        for rule in policy["spec"].get(field, ())
    )


def _covers(rule: Mapping[str, Any], other: Pod | str, port: int, protocol: str, peers: str) -> bool:
    ports = rule.get("ports")
    fits = ports is None or {"port": port, "protocol": protocol} in ports
    return fits and any(_is(peer, other) for peer in rule[peers])


def _is(peer: Mapping[str, Any], other: Pod | str) -> bool:
    if isinstance(other, str):
        return any(_holds(block, other) for block in _blocks(peer))
    if "ipBlock" in peer:
        return False  # a pod's address is never outside of the cluster
    namespaces = peer.get("namespaceSelector", {"matchLabels": OWN})
    return selects(namespaces, other.namespace) and selects(peer.get("podSelector", {}), other.labels)


def _blocks(peer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "ipBlock" in peer:
        yield peer["ipBlock"]


def _holds(block: Mapping[str, Any], address: str) -> bool:
    where = ip_address(address)
    return where in ip_network(block["cidr"]) and not any(where in ip_network(each) for each in block.get("except", ()))
