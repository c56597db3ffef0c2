"""Sends steps to an OpenTelemetry collector: the one module that needs the extra `otel`."""

import threading
from collections.abc import Iterable
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.telemetry.steps import Step

SCOPE = "ensemble-instruct"
CLOSE_S = 5.0  # how long a process that ends waits for a collector to take what is left
NS = 1_000_000_000
NOBODY = Context()
SAMPLED = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)


class GivenIds(IdGenerator):
    """Gives a thread's next span the ids that were given to it."""

    def __init__(self) -> None:
        self._next = threading.local()

    def give(self, trace: int, span: int) -> None:
        """The ids of this thread's next span, and of its trace if it is a root."""
        self._next.trace, self._next.span = trace, span

    def generate_trace_id(self) -> int:
        """Called by the SDK."""
        return int(self._next.trace)

    def generate_span_id(self) -> int:
        """Called by the SDK."""
        return int(self._next.span)

    def is_trace_id_random(self) -> bool:
        """A digest's bits are as good."""
        return True


class Traces:
    """Sends steps in batches, in a thread of its own, as the OTEL_* variables say. What can't be sent is dropped."""

    def __init__(self, worker: str) -> None:
        ours = {"service.name": SCOPE, "service.version": version(SCOPE), "service.instance.id": worker}
        resource = Resource.create({**ours, **OTELResourceDetector().detect().attributes})
        self._ids = GivenIds()
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(SCOPE, version(SCOPE))

    def wants(self, trace: int) -> bool:
        """Whether this trace is among those to be told: every process comes to the same answer."""
        return self._provider.sampler.should_sample(NOBODY, trace, SCOPE).decision is Decision.RECORD_AND_SAMPLE

    def tell(self, steps: Iterable[Step]) -> None:
        """Send these, without waiting for it."""
        for step in steps:
            self._tell(step)

    def _tell(self, step: Step) -> None:
        self._ids.give(step.trace, step.id)
        span = self._tracer.start_span(
            step.name,
            context=_within(step),
            kind=SpanKind.CLIENT if step.is_call else SpanKind.INTERNAL,
            attributes=step.attributes,
            start_time=int(step.began * NS),
        )
        if step.fault:
            span.set_attribute("error.type", step.fault)
            span.set_status(Status(StatusCode.ERROR))
        span.end(int(step.ended * NS))

    def close(self) -> None:
        """Send what is left, if the collector takes it soon."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        closing.start()
        closing.join(CLOSE_S)


def _within(step: Step) -> Context:
    if step.parent is None:
        return NOBODY
    parent = SpanContext(step.trace, step.parent, is_remote=True, trace_flags=SAMPLED)
    return set_span_in_context(NonRecordingSpan(parent), NOBODY)
