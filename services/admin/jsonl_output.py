"""Results as one JSON object a line on stdout, and how far the work is on stderr."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from services.admin.console import err

T = TypeVar("T")


def write_line(value: dict[str, Any]) -> bool:
    """One line of UTF-8, whatever the terminal's encoding; halves of characters are written as escapes.

    Returns whether all of it was written: for NaN and the infinities JSON has no word, and null stands for them.
    """
    try:
        write_json(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except ValueError:
        told = json.loads(json.dumps(value), parse_constant=lambda _: None)
        write_json(json.dumps(told, ensure_ascii=False))
        return False
    return True


def write_json(text: str) -> None:
    """A line of JSON that is written out already, in the same way."""
    try:
        line = text.encode()
    except UnicodeEncodeError:
        line = json.dumps(json.loads(text)).encode()
    sys.stdout.buffer.write(line + b"\n")


def with_progress(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The items, with a bar on stderr if that is a terminal which the results don't go to as well."""
    if not err.is_terminal or sys.stdout.isatty():
        yield from items
        return
    from rich.progress import Progress

    with Progress(console=err) as progress:
        yield from progress.track(items, total, description=what)
