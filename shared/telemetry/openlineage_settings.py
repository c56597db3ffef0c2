"""Whether the environment tells the openlineage library where events go; how is that library's business."""

import logging
from collections.abc import Mapping
from pathlib import Path

FILE = "openlineage.yml"
NAMESPACE = "OPENLINEAGE_NAMESPACE"  # of jobs, as the integrations of other schedulers call it
DEFAULT_NAMESPACE = "ensemble-instruct"


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether there is a configuration, and it is not switched off."""
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    named = any(name in environ for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG"))
    return named or any(name.startswith("OPENLINEAGE__TRANSPORT") for name in environ) or _file_is_there()


def _file_is_there() -> bool:
    try:
        return any((folder / FILE).is_file() for folder in (Path.cwd(), Path.home() / ".openlineage"))
    except (OSError, RuntimeError):  # a folder that is gone, a user without a home
        return False


def hush() -> None:
    """Leave it to us to say what went wrong: one line an event, instead of one for each try."""
    for chatty in ("openlineage", "urllib3.connectionpool"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
