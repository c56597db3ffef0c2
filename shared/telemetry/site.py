"""Where a process says how it is: `/healthz`, `/readyz` and `/metrics`, over HTTP."""

import socket
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

import structlog
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from shared.errors import WorldError
from shared.settings import Address

log = structlog.get_logger()

CLIENT_PATIENCE_S = 10.0  # with one that says nothing
TEXT = "text/plain; charset=utf-8"

Check = Callable[[], Sequence[str]]
"""What is wrong, each in a line; nothing, if all is well."""


class HealthAddressTakenError(WorldError):
    """HEALTH_ADDRESS {address} can't be listened on: {detail}. Each process needs one of its own; port 0 takes any
    that is free."""


class HealthSite:
    """Answers on an address until it is closed: 200 where all is well, else 503 and what is wrong."""

    def __init__(self, address: Address, *, alive: Check, ready: Check, metrics: Collector | None = None) -> None:
        """Begin to answer. Raises `HealthAddressTakenError`."""
        checks = {"/healthz": alive, "/readyz": ready}
        try:
            self._server = _Server(address, checks, metrics or CollectorRegistry())
        except OSError as error:
            raise HealthAddressTakenError(address=address, detail=error.strerror or error) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def address(self) -> Address:
        """Where it answers: with the port that was chosen, if it was left open."""
        host, port, *_ = self._server.server_address
        return Address(str(host), int(port))

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address: Address, checks: dict[str, Check], metrics: Collector) -> None:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, where = found[0][0], found[0][4]
        self.checks, self.metrics = checks, metrics
        super().__init__((str(where[0]), int(where[1])), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; its handler has logged what else there was."""


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_PATIENCE_S
    server: _Server

    def do_GET(self) -> None:
        """One question."""
        path = self.path.partition("?")[0]
        try:
            if path in self.server.checks:
                self._tell(self.server.checks[path]())
            elif path == "/metrics":
                self._answer(HTTPStatus.OK, *self._metrics())
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"there are /healthz, /readyz and /metrics\n", TEXT)
        except OSError:
            raise
        except Exception:
            log.exception("health not told", path=path)
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"see the log\n", TEXT)

    def _tell(self, wrong: Sequence[str]) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        self._answer(status, "".join(f"{line}\n" for line in wrong or ("ok",)).encode(), TEXT)

    def _metrics(self) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(self.headers.get("Accept") or "")
        return encode(self.server.metrics), content_type

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a probe comes every few seconds."""
