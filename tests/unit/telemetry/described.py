"""Every metric as docs/telemetry.md is to tell of it."""

from dataclasses import dataclass

from prometheus_client import Metric

from shared.telemetry.metrics import COUNTED, OF_RUNS, OF_WORKERS, PREFIX

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@dataclass(frozen=True, slots=True)
class Described:
    """A metric: `series` are the names that Prometheus has it by."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series."""
        return tuple(self.name + suffix for suffix in SUFFIXES[self.kind])

    @property
    def row(self) -> str:
        """Its row in the table."""
        suffix = "_total" if self.kind == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name.removeprefix(PREFIX)}{suffix}` | {self.kind} | {labels} | {self.help} |"


def of_workers() -> list[Described]:
    """What every worker tells."""
    counted = [_described(family, _labels(collector)) for collector, family in _counted()]
    return counted + [_described(each.told(), each.labels) for each in OF_WORKERS]


def of_runs() -> list[Described]:
    """What every process on `control` tells."""
    return [_described(each.told(), each.labels) for each in OF_RUNS]


def _described(family: Metric, labels: tuple[str, ...]) -> Described:
    return Described(family.name, family.type, labels, family.documentation)


def _counted() -> list[tuple[object, Metric]]:
    collectors = COUNTED._collector_to_names
    return [(collector, family) for collector in collectors for family in collector.describe()]  # type: ignore[attr-defined]  # whatever the registry holds


def _labels(collector: object) -> tuple[str, ...]:
    names = getattr(collector, "_labelnames", None)
    return tuple(collector._family[2]) if names is None else tuple(names)  # type: ignore[attr-defined]  # whatever the registry holds
