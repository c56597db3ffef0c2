"""Free ports on the loopback interface."""

import socket
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"


def free_port() -> int:
    """A TCP port that nothing listens on right now; another process may take it before you do."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def kept_port(file: Path) -> int:
    """The port that `keep_port` noted there, if nothing listens on it; else a free one."""
    with suppress(OSError, ValueError, OverflowError), socket.socket() as probe:
        port = int(file.read_text())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return port
    return free_port()


def keep_port(file: Path, port: int) -> None:
    """Note a port, so that whoever knows it finds the server there again."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{port}\n")
