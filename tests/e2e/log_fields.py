"""The fields of a log line, as docs/telemetry.md lists them, and which of them a line about work needs."""

import re
from pathlib import Path
from typing import Any

DOCS = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
FIELDS = dict(re.findall(r"^\| `(\w+)` \| (string|integer|array) \|", DOCS.partition("\n## Logs\n")[2], re.MULTILINE))
ALWAYS = ("timestamp", "level", "logger", "event")
OURS = ("workers.", "shared.")
OF_THE_PROCESS = ("health is told",)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": kind} for name, kind in FIELDS.items()},
    "required": list(ALWAYS),
    "additionalProperties": False,
}


def is_about_work(line: dict[str, Any]) -> bool:
    """Whether a line is ours, and not of the process itself."""
    return str(line["logger"]).startswith(OURS) and line["event"] not in OF_THE_PROCESS
