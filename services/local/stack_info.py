"""What runs: written to `stack.json` while a stack is up, for other commands to find."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from services.local.private_files import write_private


class Kind(StrEnum):
    """What a part is, and so how it is asked whether it is ready."""

    DATABASE = "database"
    BROKER = "broker"
    LANGUAGE_MODEL = "language model"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack. `address` holds no password; a worker has none."""

    name: str
    kind: Kind
    address: str
    pid: int


@dataclass(frozen=True, slots=True)
class StackInfo:
    """A stack that is up. The URLs hold passwords; `started_at` is ISO 8601; `pid` is who holds it together.

    One `of` a command, the demo, ends with it.
    """

    pid: int
    started_at: str
    database_url: str
    redis_url: str
    model_urls: dict[str, str]
    parts: tuple[Part, ...]
    of: str | None = None


def write_info(path: Path, info: StackInfo) -> None:
    """Write it so that only the owner can read it."""
    write_private(path, json.dumps(asdict(info), indent=2))


def read_info(path: Path) -> StackInfo | None:
    """What `write_info` wrote; None if there is nothing, or nothing whole."""
    try:
        found = json.loads(path.read_text())
        parts = tuple(Part(**{**part, "kind": Kind(part["kind"])}) for part in found.pop("parts"))
        return StackInfo(**found, parts=parts)
    except (OSError, ValueError, TypeError, KeyError):
        return None
