"""The Dockerfile's steps, done on this machine: what an image would hold, in a folder, and its processes.

A stand-in for a Docker engine: `/app` and `/opt/venv` are folders of a root of ours, what belongs to the system (users,
packages of the base image) is left out, and processes get the Dockerfile's environment and nothing else. They run as
its user if we are root, and in a tree that nobody may write to.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

from tests.deploy.compose import ROOT

OURS = ("/opt/venv", "/app")
SYSTEM = ("useradd", "groupadd")


@dataclass
class Image:
    """A built target: where its files are, its environment, its entrypoint, its user id."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    user: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    healthcheck: str = ""

    @property
    def app(self) -> Path:
        """Its working folder."""
        return self.root / "app"

    def start(self, log: Path, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Its entrypoint with this command, or the Dockerfile's own; what it says goes to `log`."""
        with log.open("wb") as output:
            return subprocess.Popen(**self._process(command, environment), stdout=output, stderr=output)

    def run(self, *command: str, **environment: str) -> str:
        """What its entrypoint prints for this command; it has to exit with 0."""
        process = self._process(command, environment)
        done = subprocess.run(**process, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        printed: str = done.stdout
        return printed.strip()

    def _process(self, command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
        process = {
            "args": [*self.entrypoint, *(command or self.command)],
            "cwd": self.app,
            "env": {**self.environment, **environment},
        }
        if os.geteuid() == 0:
            process |= {"user": self.user, "group": self.user, "extra_groups": []}
        return process


def build(target: str, root: Path) -> Image:
    """Do the steps of a target and of the stages that it builds on."""
    image = Image(root)
    for instruction, value in _steps(target):
        _do(image, instruction, value)
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o555)  # noqa: S103 - for others to read, and nobody to write
    return image


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage by its name, its FROM first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in DockerfileParser(str(ROOT / "Dockerfile")).structure:
        if each["instruction"] == "FROM":
            name = each["value"].split(" AS ")[1]
            found[name] = []
        if found and each["instruction"] != "COMMENT":
            found[name].append((each["instruction"], each["value"]))
    return found


def _steps(target: str) -> Iterator[tuple[str, str]]:
    """A target's steps in order: those of what it is made from, then its own, with what it copies from other stages."""
    of_stage = stages()
    base = of_stage[target][0][1].split()[0]
    if base in of_stage:
        yield from _steps(base)
    for instruction, value in of_stage[target]:
        if instruction == "COPY" and value.startswith("--from="):
            yield from _steps(value.split()[0].removeprefix("--from="))
        else:
            yield instruction, value


def _do(image: Image, instruction: str, value: str) -> None:
    match instruction:
        case "RUN" if not any(word in value for word in SYSTEM):
            _run(image, value)
        case "COPY":
            *sources, to = value.split()
            for source in sources:
                _copy(ROOT / source, _inside(image, to) / (Path(source).name if to == "./" else ""))
        case "ENV":
            image.environment |= _pairs(image, value)
        case "LABEL":
            image.labels |= _pairs(image, value)
        case "USER":
            image.user = int(value.split(":")[0])
        case "ENTRYPOINT":
            image.entrypoint = _command(image, value)
        case "CMD":
            image.command = loads(value)
        case "HEALTHCHECK":
            image.healthcheck = value


def _run(image: Image, command: str) -> None:
    """`python` makes environments with an interpreter that the image's user can reach; else it is the tests' own."""
    programs = image.root / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "python").write_text(
        f'#!/bin/sh\n[ "$2" = venv ] && exec {_interpreter()} "$@"\nexec {sys.executable} "$@"\n'
    )
    (programs / "python").chmod(0o755)
    environment = {**os.environ, **image.environment, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", _placed(image, command)], cwd=_app(image), env=environment, check=True)


def _interpreter() -> Path:
    """A Python that every user of this machine may run: one in somebody's home is of no use to the image's."""
    for found in (Path(sys.base_prefix, "bin", "python3"), Path("/usr/local/bin/python3"), Path("/usr/bin/python3")):
        reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in found.parents) if found.exists() else False
        if reachable or (found.exists() and os.geteuid() != 0):
            return found.resolve()
    raise AssertionError("no Python that other users may run: install one, such as Debian's python3")


def _app(image: Image) -> Path:
    image.app.mkdir(parents=True, exist_ok=True)
    return image.app


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, to)


def _inside(image: Image, path: str) -> Path:
    return image.root / path.lstrip("/") if path.startswith("/") else _app(image) / path


def _placed(image: Image, text: str) -> str:
    for path in OURS:
        text = text.replace(path, f"{image.root}{path}")
    return text


def _pairs(image: Image, value: str) -> dict[str, str]:
    pairs: Mapping[str, str] = dict(each.split("=", 1) for each in shlex.split(value.replace("\\\n", " ")))
    system = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    return {name: _placed(image, text).replace("${PATH}", system["PATH"]) for name, text in pairs.items()}


def _command(image: Image, value: str) -> list[str]:
    """The program by its path in the image, as the image's PATH would find it."""
    parts: Sequence[Any] = loads(value)
    return [str(image.root / "opt" / "venv" / "bin" / str(parts[0])), *map(str, parts[1:])]
