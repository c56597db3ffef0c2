"""Results as one JSON object a line on stdout, and how far the work is on stderr."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from rich.progress import Progress

from services.admin.console import err

T = TypeVar("T")


def write_line(value: dict[str, Any]) -> None:
    """One line of UTF-8, whatever the terminal's encoding; halves of characters are written as escapes."""
    try:
        line = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        line = json.dumps(value).encode()
    sys.stdout.buffer.write(line + b"\n")


def with_progress(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a bar on stderr if that is a terminal which the results don't go to as well."""
    shown = err.is_terminal and not sys.stdout.isatty()
    with Progress(console=err, disable=not shown) as progress:
        yield from progress.track(items, description=what)
