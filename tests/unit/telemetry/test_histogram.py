from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.telemetry.histogram import BatchHistogram

BOUNDS = (0.0625, 0.5, 1, 30)  # and observations whose sums are exact


def told(registry: CollectorRegistry) -> set[str]:
    return {line for line in generate_latest(registry).decode().splitlines() if "_created" not in line}


@given(st.lists(st.lists(st.sampled_from([0.0, 0.03125, 0.0625, 0.5, 1.0, 1.5, 29.5, 30.0, 31.0]))))
def test_batches_come_to_the_same_as_single_observations(batches: list[list[float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    by_batch = BatchHistogram("took_seconds", "How long", ("model",), bounds=BOUNDS, registry=ours)
    one_by_one = Histogram("took_seconds", "How long", ("model",), buckets=BOUNDS, registry=theirs)
    for batch in batches:
        by_batch.labels("a").add(batch)
        for value in batch:
            one_by_one.labels("a").observe(value)
    if batches:
        one_by_one.labels("a")
    assert told(ours) == told(theirs)


def test_a_series_that_was_removed_is_told_no_more() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("took_seconds", "How long", ("model",), bounds=BOUNDS, registry=registry)
    histogram.labels("a").add([1.0])
    histogram.labels("b").add([2.0])
    histogram.remove("a")
    histogram.remove("a")
    assert not any('model="a"' in line for line in told(registry))
    assert 'took_seconds_sum{model="b"} 2.0' in told(registry)
