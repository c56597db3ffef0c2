"""The schemas of the kinds that KEDA and the Prometheus operator define, from their published definitions.

cloudcoil's models are generated from these definitions; what the definitions do not know, they refuse here, as the API
server does with strict field validation.
"""

from functools import cache
from importlib import import_module
from typing import Any

KINDS = {
    "ScaledObject": "cloudcoil.models.keda.v1alpha1",
    "TriggerAuthentication": "cloudcoil.models.keda.v1alpha1",
    "ServiceMonitor": "cloudcoil.models.prometheus_operator.v1",
    "PrometheusRule": "cloudcoil.models.prometheus_operator.v1",
}


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind."""
    model = getattr(import_module(KINDS[kind]), kind)
    schema: dict[str, Any] = _closed(model.model_json_schema())
    return schema


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if closed.get("type") == "object" and closed.get("properties"):
        closed.setdefault("additionalProperties", False)
    return closed
