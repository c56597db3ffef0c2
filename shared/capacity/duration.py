"""Lengths of time, as people write them."""

import re

from shared.errors import UserError

UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
LONGEST_S = 10 * 365 * 86_400.0


class BadDeadlineError(UserError):
    """--deadline {text}: write a length of time above 0, such as 12h, 90m, 1h30m or 2d"""


def read_deadline(text: str) -> float:
    """Seconds. Raises `BadDeadlineError`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < seconds <= LONGEST_S:
        raise BadDeadlineError(text=text)
    return seconds


def duration(seconds: float) -> str:
    """Seconds in two units at most: `2 d 3 h`, `3 h 12 min`, `4 min 10 s`, `8.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 59.95 else "1 min 0 s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"
