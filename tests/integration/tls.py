"""A server's TLS side, in front of one that speaks none."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"


@contextmanager
def behind_tls(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS as the context has it, and passes all on to `port`."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_serve, args=(listener, port, context), daemon=True).start()
        yield listener.getsockname()[1]


def _serve(listener: socket.socket, port: int, context: ssl.SSLContext) -> None:
    with suppress(OSError):  # closed: the test is over
        while True:
            plain, _ = listener.accept()
            with suppress(OSError):  # the client did not like the certificate
                client = context.wrap_socket(plain, server_side=True)
                server = socket.create_connection((HOST, port))
                for source, to in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=(source, to), daemon=True).start()


def _pass_on(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError), source, to:
        while data := source.recv(65536):
            to.sendall(data)
