"""A stand-in for a server of OpenLineage, good or bad, on the loopback interface."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class LineageServer:
    """It answers `status`, or nothing at all while it `hangs`."""

    url: str = ""
    status: int = 201
    hangs: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def types(self) -> list[str]:
        """What kinds of events came, in their order."""
        return [event["eventType"] for event in self.received]


@contextmanager
def lineage_server(**behaviour: Any) -> Iterator[LineageServer]:
    """One that serves until the context ends."""
    site = LineageServer(**behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            site.received.append(json.loads(body))
            site.keys.append(self.headers.get("authorization"))
            if site.hangs:
                site.let_go.wait(60)
                return
            self.send_response(site.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        site.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()
