"""Pages out of templates: everything that stands in one is escaped, and reads alike everywhere."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from services.explorer import links
from services.explorer.asking import written
from services.explorer.failures import AGAIN_AFTER_S, Failure
from services.record_summary import summary
from shared.method.tasks import TaskType
from shared.shortening import shortened
from shared.store.lineage import Node

HERE = Path(__file__).parent
STATIC = {
    "explorer.css": "text/css; charset=utf-8",
    "explorer.svg": "image/svg+xml",
}
CONTENT = {name: (HERE / "static" / name).read_bytes() for name in STATIC}
VERSION = sha256(b"".join(CONTENT.values())).hexdigest()[:12]  # what has changed has a new address
FOLDED = 1_200  # characters beyond which a text is folded
BEGINNING = 280  # characters of it that show all the same
TYPES: dict[str, str] = {TaskType.INPUT_OUTPUT: "input → output", TaskType.OUTPUT_ONLY: "output only"}
YEAR_S = 365 * 24 * 3600


def in_words(name: object) -> str:
    """`seed_task` as people write it."""
    return str(name).replace("_", " ")


def task_type(name: str) -> str:
    """A task type as people read it."""
    return TYPES.get(name, in_words(name))


def count(number: float | None) -> str:
    """A number with its thousands apart."""
    return "" if number is None else f"{number:,.0f}"


def percent(share: float | None) -> str:
    """A share in percent; what is little is not nothing."""
    if share is None:
        return ""
    return "< 1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def to_the_minute(at: datetime) -> str:
    """A point in time, for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def to_the_second(at: datetime) -> str:
    """A point in time, for programs."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def lasted(begin: datetime, end: datetime) -> str:
    """How long something took."""
    seconds = int((end - begin).total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return str(timedelta(seconds=seconds)) if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def as_yaml(value: object) -> str:
    """Settings as a person writes them."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def label(column: str) -> str:
    """A column's name for people: `generation_id` is a generation, `latency_s` a latency."""
    plural = "s" if column.endswith("_ids") else ""
    for ending in ("_ids", "_id", "_s", "_at"):
        column = column.removesuffix(ending)
    return in_words(column).capitalize() + plural


def plain(value: object) -> str:
    """A setting's value as it is stored."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def in_a_line(node: Node) -> str:
    """What a person knows a record by; of a kind that is not known here, nothing."""
    return summary(node) if node.attributes else ""


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shortened": shortened,
        "in_words": in_words,
        "task_type": task_type,
        "count": count,
        "percent": percent,
        "to_the_minute": to_the_minute,
        "to_the_second": to_the_second,
        "as_yaml": as_yaml,
        "label": label,
        "plain": plain,
        "written": written,
    }
    made.globals |= {
        "run_page": links.run_page,
        "record_page": links.record_page,
        "query": links.query,
        "lasted": lasted,
        "summary": in_a_line,
        "version": VERSION,
        "folded": FOLDED,
        "beginning": BEGINNING,
    }
    return made


TEMPLATES = _environment()


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page, which a browser asks for anew each time."""
    return HTMLResponse(TEMPLATES.get_template(template).render(values), status, {"Cache-Control": "no-cache"})


def failure_page(failure: Failure) -> Response:
    """What went wrong, for a person; a program sees the status."""
    answer = page("failure.html", failure.status, failure=failure)
    if failure.status == 503:
        answer.headers["Retry-After"] = str(AGAIN_AFTER_S)
    return answer


def static_file(name: str) -> Response:
    """A file that comes with the pages."""
    kept = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
    return Response(CONTENT[name], media_type=STATIC[name], headers=kept)
