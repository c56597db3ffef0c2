"""The ways that a NetworkPolicy opens to servers that are not the overlay's."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
CALLERS = ("instruction-generator", "instance-generator", "output-generator", "operator")


def way_out(urls: Sequence[str]) -> dict[str, Any]:
    """A NetworkPolicy that lets those who call LMs reach these servers, as narrowly as it can be said.

    Policies know no names of hosts: a name outside of the cluster opens its port to any address.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "to-external-model"},
        "spec": {
            "podSelector": {
                "matchExpressions": [
                    {"key": "app.kubernetes.io/component", "operator": "In", "values": list(CALLERS)},
                ]
            },
            "policyTypes": ["Egress"],
            "egress": [_rule(url) for url in urls],
        },
    }


def _rule(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    namespace = _namespace(host)
    if namespace is not None:  # a Service's port may not be its pods', and theirs is the one that counts
        return {"to": [namespace]}
    return {"to": [{"ipBlock": {"cidr": cidr}} for cidr in _blocks(host)], "ports": [{"protocol": "TCP", "port": port}]}


def _namespace(host: str) -> dict[str, Any] | None:
    """The pods of the namespace that a Service's name lies in; `None` for a host outside of the cluster."""
    labels = host.split(".")
    if len(labels) == 1 and not _is_address(host):
        return {"podSelector": {}}
    if len(labels) > 2 and labels[2] == "svc":
        return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": labels[1]}}}
    return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _blocks(host: str) -> tuple[str, ...]:
    if not _is_address(host):
        return ("0.0.0.0/0", "::/0")
    address = ip_address(host)
    return (f"{address}/{address.max_prefixlen}",)
