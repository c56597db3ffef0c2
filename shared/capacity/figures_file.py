"""Figures in a file: YAML, of which JSON is a part, to be read by people and by this program."""

import json
from pathlib import Path

import yaml
from pydantic import ValidationError

from shared.capacity.figures import Figures
from shared.errors import UserError, WorldError
from shared.new_file import write_new

MOST_BYTES = 1024 * 1024
MOST_FAULTS = 10


class FiguresRefusedError(UserError):
    """{path} holds no figures to plan with: {reason}"""


class FiguresExistError(UserError):
    """{path} exists already; name another file, or remove it."""


class NoFolderError(UserError):
    """{path} can't be written: there is no folder {folder}; make it, or name another file"""


class FiguresNotWrittenError(WorldError):
    """{path} can't be written: {reason}"""


def read_figures(path: Path) -> Figures:
    """The figures of a file, which is their source if it names no other. Raises `FiguresRefusedError`."""
    try:
        content = yaml.safe_load(_text(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = f"it is not YAML or JSON: {' '.join(str(error).split())}"
        raise FiguresRefusedError(path=path, reason=reason) from None
    if not isinstance(content, dict):
        raise FiguresRefusedError(path=path, reason="it is not a mapping; --save-figures FILE writes one")
    try:
        return Figures.model_validate({"source": path.name, **content})
    except ValidationError as error:
        raise FiguresRefusedError(path=path, reason=_faults(error)) from None


def refuse_unwritable(path: Path) -> None:
    """Raises `FiguresExistError`, `NoFolderError` before any work is done for what could not be written."""
    if path.exists():
        raise FiguresExistError(path=path)
    if not path.parent.is_dir():
        raise NoFolderError(path=path, folder=path.parent)


def write_figures(path: Path, figures: Figures) -> None:
    """Write figures to a new file: JSON if its name ends so, else YAML. Raises what says why it can't."""
    plain = figures.model_dump(mode="json", exclude_none=True)
    as_json = path.suffix == ".json"
    text = json.dumps(plain, indent=2) + "\n" if as_json else yaml.safe_dump(plain, sort_keys=False, width=120)
    try:
        write_new(path, text)
    except FileExistsError:
        raise FiguresExistError(path=path) from None
    except OSError as error:
        raise FiguresNotWrittenError(path=path, reason=error.strerror) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FiguresRefusedError(path=path, reason=f"it can't be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise FiguresRefusedError(path=path, reason="it is longer than 1 MiB; is it the right file?")
    return content.decode("utf-8-sig")


def _faults(error: ValidationError) -> str:
    found = [f"{'.'.join(map(str, each['loc']))}: {_message(each['type'], each['msg'])}" for each in error.errors()]
    more = [f"and {len(found) - MOST_FAULTS} more"] if len(found) > MOST_FAULTS else []
    return "; ".join([*found[:MOST_FAULTS], *more])


def _message(kind: str, told: str) -> str:
    ours = {"extra_forbidden": "there is no such figure; check its spelling", "missing": "is missing"}
    return ours.get(kind, told.removeprefix("Value error, "))
