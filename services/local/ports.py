"""Free ports on the loopback interface."""

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """A TCP port that nothing listens on right now; another process may take it before you do."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
