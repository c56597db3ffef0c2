"""An OpenTelemetry collector in the test's own process: takes spans over HTTP, and keeps them."""

import gzip
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATH = "/v1/traces"


class Collector:
    """Answers with `status`; with none, not at all until it is closed."""

    def __init__(self, status: int | None = 200) -> None:
        self.status = status
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.asked = threading.Event()
        self._closed = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """One request."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.asked.set()
        if self.status is None:
            self._closed.wait(60)
            return
        if self.status == 200 and handler.path == PATH:
            self._keep(gzip.decompress(body) if handler.headers.get("Content-Encoding") == "gzip" else body)
        handler.send_response(self.status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _keep(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += scope.spans
                self.resources += [told] * len(scope.spans)

    def traces(self) -> dict[int, list[Span]]:
        """The spans by trace."""
        by_trace: defaultdict[int, list[Span]] = defaultdict(list)
        for span in list(self.spans):
            by_trace[int.from_bytes(span.trace_id)].append(span)
        return by_trace

    def close(self) -> None:
        """Answer no more."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def a_collector(status: int | None = 200) -> Iterator[Collector]:
    """A collector that is closed afterwards."""
    collector = Collector(status)
    try:
        yield collector
    finally:
        collector.close()


def told(span: Span) -> dict[str, object]:
    """A span's attributes as plain values."""
    return {each.key: _plain(each.value) for each in span.attributes}


def _plain(value: object) -> object:
    kind = value.WhichOneof("value")  # type: ignore[attr-defined]  # a generated class of protobuf
    held = getattr(value, kind)
    return [_plain(each) for each in held.values] if kind == "array_value" else held
