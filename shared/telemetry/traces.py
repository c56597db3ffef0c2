"""OpenTelemetry traces, where the standard variable OTEL_EXPORTER_OTLP_ENDPOINT (or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names a collector; the other OTEL_* variables mean what they mean everywhere.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.errors import UserError

if TYPE_CHECKING:
    from shared.telemetry.otlp import Traces

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"


class NoOpenTelemetryError(UserError):
    """{variable} is set, but traces need OpenTelemetry ({detail}): pip install 'ensemble-instruct[otel]'"""


class TraceSettingError(UserError):
    """{variable} is {value}, but traces go out by {only}"""


def traces_from(environ: Mapping[str, str], worker: str) -> "Traces | None":
    """What the OTEL_* variables ask for; none, as a rule. Raises `NoOpenTelemetryError`, `TraceSettingError`."""
    variable = next((name for name in ENDPOINTS if environ.get(name)), None)
    exporter = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if variable is None or exporter == "none" or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if exporter != "otlp":
        raise TraceSettingError(variable="OTEL_TRACES_EXPORTER", value=exporter, only="otlp, or not at all: none")
    for name in PROTOCOLS:
        if environ.get(name) not in (None, "", HTTP):
            raise TraceSettingError(variable=name, value=environ[name], only=HTTP)
    try:
        from shared.telemetry.otlp import Traces
    except ImportError as error:
        raise NoOpenTelemetryError(variable=variable, detail=error) from None
    return Traces(worker)
