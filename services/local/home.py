"""Where the embedded stack keeps its state."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VARIABLE = "ENSEMBLE_INSTRUCT_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The state folder; only its owner may enter, for it holds passwords."""

    root: Path

    @classmethod
    def find(cls) -> Self:
        """`$ENSEMBLE_INSTRUCT_HOME`, or `${XDG_DATA_HOME:-~/.local/share}/ensemble-instruct`; made if need be."""
        named = os.environ.get(VARIABLE)
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        return cls.at(Path(named).expanduser() if named else data / "ensemble-instruct")

    @classmethod
    def at(cls, root: Path) -> Self:
        """The state folder at `root`; made if need be."""
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(root.resolve())

    @property
    def weights(self) -> Path:
        """The LMs' weights, joined from their parts."""
        return self.root / "weights"

    @property
    def postgres(self) -> Path:
        """The database: its data, its password, its log."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """The broker's configuration and log."""
        return self.root / "valkey"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.root / "logs"

    @property
    def stack_file(self) -> Path:
        """What runs at present: addresses, process ids, since when."""
        return self.root / "stack.json"

    @property
    def ports(self) -> Path:
        """A file for each LM with the port that it had last."""
        return self.root / "ports"

    @property
    def demo_run(self) -> Path:
        """The id of a demo's run that is not at its end yet."""
        return self.root / "demo-run"

    @property
    def lock_file(self) -> Path:
        """Held while a process uses the database's files."""
        return self.root / "lock"
