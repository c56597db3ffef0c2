"""Where output goes: results to stdout, everything else to stderr."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

WIDTH_OF_A_FILE = 160  # columns, where there is no terminal to ask

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell a person what is going on."""
    err.print(Text(printable(message)))


def warn(message: str) -> None:
    """Tell a person what may go wrong."""
    err.print(Text.assemble(("warning: ", "bold yellow"), printable(message)))


def complain(message: str) -> None:
    """Tell a person why a command failed."""
    err.print(Text.assemble(("error: ", "bold red"), printable(message)))


def answer(line: str) -> None:
    """Print a result that is not JSON."""
    out.print(Text(printable(line)))


def printable(text: str) -> str:
    """`text` without the characters that steer a terminal: some of it was written by an LM, or by a server."""
    return "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)


def table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table in the style of all commands; columns of `numbers` come last."""
    empty = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in numbers:
        empty.add_column(column, justify="right")
    return empty


@contextmanager
def progress_bar(doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's stderr, gone when it is full; call what it gives with each number of things done."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.advance(task, done)


def print_json(value: Any) -> None:
    """Print a result for a program; beyond ASCII only where stdout takes it."""
    utf8 = out.encoding.startswith("utf")
    out.print(json.dumps(value, default=_plain, ensure_ascii=not utf8, indent=2), markup=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
