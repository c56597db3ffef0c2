"""Whether there are traces, and what their ids are."""

import subprocess
import sys

import pytest

from shared.telemetry.steps import span_id, trace_id
from shared.telemetry.traces import TraceSettingError, traces_from

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


def test_ids_follow_from_what_they_stand_for() -> None:
    assert trace_id("run", "output_only", 3) == trace_id("run", "output_only", 3)
    assert len({trace_id("run", kind, number) for kind in "ab" for number in range(500)}) == 1000
    assert 0 < trace_id("run") < 2**128
    assert 0 < span_id("work") < 2**64
    assert span_id("work", 1) != span_id("work1")


def test_the_bits_that_samplers_go_by_are_spread_evenly() -> None:
    below = sum(trace_id("run", number) % 2**64 < 2**64 // 10 for number in range(10_000))
    assert 900 < below < 1100


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "mine"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {**COLLECTOR, "OTEL_SDK_DISABLED": "true"},
        {**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_there_are_none_unless_somebody_asks(environ: dict[str, str]) -> None:
    assert traces_from(environ, "me") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "console"),
    ],
)
def test_another_way_out_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(TraceSettingError, match=f"^{name} is {value}, but traces go out by "):
        traces_from({**COLLECTOR, name: value}, "me")


def test_without_opentelemetry_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from shared.telemetry.traces import traces_from\n"
        "import workers.tracing\n"
        f"traces_from({COLLECTOR}, 'me')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "NoOpenTelemetryError: OTEL_EXPORTER_OTLP_ENDPOINT is set" in done.stderr
    assert "pip install 'ensemble-instruct[otel]'" in done.stderr
