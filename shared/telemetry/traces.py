"""OpenTelemetry traces: what was done for one proposal, by whichever process, whenever.

Ids follow from what they stand for, so that spans made in different processes, hours apart, join without anything
being carried from one to the next. It is on where the standard variable OTEL_EXPORTER_OTLP_ENDPOINT (or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names a collector; the other OTEL_* variables mean what they mean everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeAlias

from shared.errors import UserError

if TYPE_CHECKING:
    from shared.telemetry.otlp import Traces

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"

Attribute: TypeAlias = str | bool | int | float | Sequence[str]


class NoOpenTelemetryError(UserError):
    """{variable} is set, but traces need OpenTelemetry ({detail}): pip install 'ensemble-instruct[otel]'"""


class TraceSettingError(UserError):
    """{variable} is {value}, but traces go out by {only}"""


def trace_id(*parts: object) -> int:
    """The id of the trace that these name. Its bits are as good as random, which samplers rely on."""
    return _digest(16, parts)


def span_id(*parts: object) -> int:
    """The id of the span that these name."""
    return _digest(8, parts)


def _digest(size: int, parts: Iterable[object]) -> int:
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=size).digest()
    return int.from_bytes(digest) or 1  # 0 stands for none


@dataclass(frozen=True, slots=True)
class Step:
    """A span: something done from `began` to `ended`, in seconds since the epoch. A root has no `parent`.

    `fault` says why it failed, if it did.
    """

    trace: int
    id: int
    parent: int | None
    name: str
    began: float
    ended: float
    attributes: Mapping[str, Attribute]
    fault: str | None = None
    is_call: bool = False  # of another service


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
