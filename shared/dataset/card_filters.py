"""How a dataset card writes what others have named: in Markdown that shows it as it is, whatever is in it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from shared.job import JobSpec
from shared.job_identity import shareable

LINE = 110  # characters


def code(value: object) -> str:
    """A span of code for a cell of a table; nothing for nothing."""
    if value is None or value == "":
        return ""
    text = " ".join("".join(each if each.isprintable() else " " for each in str(value)).split())
    text = text.replace("|", r"\|")  # a table's cell ends there, even in code
    marks = "`" * (_longest_run(text) + 1)
    return f"{marks} {text} {marks}" if "`" in text else f"{marks}{text}{marks}"


def alt(text: str) -> str:
    """The words that stand for a picture."""
    return re.sub(r"([\\\[\]`*<>&])", r"\\\1", " ".join(text.split()))


def fenced(text: str, language: str) -> str:
    """A block of code."""
    marks = "`" * max(3, _longest_run(text) + 1)
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def job_yaml(job: JobSpec) -> str:
    """The job file, as anybody may read it."""
    written: str = yaml.safe_dump(shareable(job), sort_keys=False, allow_unicode=True, width=LINE)
    return written


def sampling(parameters: Mapping[str, Any]) -> str:
    """How an LM was asked to decode."""
    names = sorted(parameters, key=lambda name: (name == "stop", name))
    return ", ".join(f"{name} {_value(parameters[name])}" for name in names)


def pairs(values: Mapping[str, float | str]) -> str:
    """What each voice has: a weight, or a family."""
    return ", ".join(f"{name} {each if isinstance(each, str) else f'{each:g}'}" for name, each in values.items())


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


FILTERS: dict[str, Callable[..., str]] = {
    "code": code,
    "alt": alt,
    "fenced": fenced,
    "yaml": job_yaml,
    "sampling": sampling,
    "pairs": pairs,
}
