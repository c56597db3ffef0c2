"""What a worker tells Prometheus, as plain values."""

from collections.abc import Iterator

from prometheus_client.registry import Collector

from shared.telemetry.metrics import PREFIX

Labels = frozenset[tuple[str, str]]
Told = dict[tuple[str, Labels], float]


def told(*collectors: Collector) -> Told:
    """Every sample by its name, without the prefix that all have, and its labels."""
    return dict(_samples(collectors))


def _samples(collectors: tuple[Collector, ...]) -> Iterator[tuple[tuple[str, Labels], float]]:
    for collector in collectors:
        for family in collector.collect():
            for sample in family.samples:
                yield (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())), sample.value


def by(samples: Told, name: str, *labels: str, **wanted: str) -> dict[tuple[str, ...], float]:
    """The samples of a name whose labels are as wanted, by the values of some others."""
    found: dict[tuple[str, ...], float] = {}
    for (each, pairs), value in samples.items():
        values = dict(pairs)
        if each == name and wanted.items() <= values.items():
            key = tuple(values[label] for label in labels)
            found[key] = found.get(key, 0) + value
    return found


def counted(samples: Told, name: str, *labels: str, **wanted: str) -> dict[tuple[str, ...], float]:
    """The same, without those at zero."""
    return {key: value for key, value in by(samples, name, *labels, **wanted).items() if value}


def total(samples: Told, name: str, **wanted: str) -> float:
    """The sum of the samples of a name whose labels are as wanted."""
    return by(samples, name, **wanted).get((), 0)
