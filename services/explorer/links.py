"""Where each page is."""

import uuid
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from shared.store.views.records import VIEWS


def query(path: str, values: Mapping[str, object]) -> str:
    """An address with these values; those that say nothing are left out."""
    given = {name: value for name, value in values.items() if value not in (None, "", 0)}
    return f"{path}?{urlencode(given)}" if given else path


def run_page(run: object, part: str = "", **values: object) -> str:
    """The page of a run, named by its name or id, or of one of its parts: examples, rejections, agreement."""
    return query(f"/runs/{quote(str(run), safe='')}{f'/{part}' if part else ''}", values)


def record_page(kind: str, id: uuid.UUID | str) -> str | None:
    """The page of a record; `None` if there is none for its kind."""
    if kind not in VIEWS:
        return None
    return f"/examples/{id}" if kind == "example" else f"/records/{kind}/{id}"
