"""The explorer as a process: it listens, and answers until it is told to stop."""

import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from shared.errors import WorldError
from shared.settings import Address

GRACE_S = 5  # for answers under way


class AddressTakenError(WorldError):
    """{address} can't be listened on: {detail}. Choose another with --port, or --port 0 for any that is free"""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises `AddressTakenError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _listen(found[0][0], found[0][4])
    except (OSError, OverflowError) as error:
        detail = getattr(error, "strerror", None) or error
        raise AddressTakenError(address=Address(host, port), detail=detail) from error


def _listen(family: int, where: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(128)
    except BaseException:
        listening.close()
        raise
    return listening


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What answers; its log lines are the process's."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_S,
        )
    )


def serve(app: ASGIApp, listening: socket.socket, told: Callable[[str], None]) -> None:
    """Answer until SIGTERM or SIGINT; `told` is called with where, once it does."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises the signal again when it is done
    signal.signal(signal.SIGINT, lambda *_: None)
    told(f"http://{address_of(listening)}/")
    server_of(app).run(sockets=[listening])


def address_of(listening: socket.socket) -> Address:
    """Where a socket listens."""
    host, port = listening.getsockname()[:2]
    return Address(host, port)
