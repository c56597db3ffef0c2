"""Whether an event is what OpenLineage's own classes, made from its JSON schemas, say that it may be."""

import importlib
import pkgutil
from datetime import datetime
from typing import Any
from uuid import UUID

import attr
from openlineage.client import generated
from openlineage.client.generated import base

_MODULES = [
    importlib.import_module(f"{generated.__name__}.{module.name}")
    for module in pkgutil.iter_modules(generated.__path__)
]
_BY_SCHEMA = {
    thing._get_schema(): thing
    for module in _MODULES
    for thing in vars(module).values()
    if isinstance(thing, type) and hasattr(thing, "_get_schema")
}
_FACETS = {"facets", "inputFacets", "outputFacets"}


def check_event(event: dict[str, Any]) -> None:
    """Raises `AssertionError` where something is missing, unknown, or not of its kind."""
    _check(event, base.RunEvent)
    assert event["schemaURL"] == base.RunEvent._get_schema()
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert event["eventType"] in {each.value for each in base.EventType}
    UUID(event["run"]["runId"])
    _check(event["run"], base.Run)
    _check(event["job"], base.Job)
    for dataset in event["inputs"]:
        _check(dataset, base.InputDataset)
    for dataset in event["outputs"]:
        _check(dataset, base.OutputDataset)
    for holder in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        for name in _FACETS & holder.keys():
            for facet in holder[name].values():
                _check(facet, _BY_SCHEMA[facet["_schemaURL"]])


def _check(given: dict[str, Any], kind: type) -> None:
    fields = {each.name: each for each in attr.fields(kind)}
    required = {name for name, each in fields.items() if each.default is attr.NOTHING}
    assert required <= given.keys() <= fields.keys(), (kind, given)
    assert all(isinstance(given[name], str | dict) for name in required), (kind, given)
