"""Where output goes: results to stdout, everything else to stderr."""

import dataclasses
import json
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Console

WIDTH_OF_A_FILE = 160  # columns, where there is no terminal to ask

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell a person what is going on."""
    err.print(message, markup=False)


def print_json(value: Any) -> None:
    """Print a result for a program."""
    out.print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2), markup=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
