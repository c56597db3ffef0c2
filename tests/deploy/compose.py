"""What `docker compose config` makes of docker-compose.yml: every variable filled in, every anchor resolved."""

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMPOSE = Path(sys.executable).with_name("docker-compose")
PROFILES = ("cpu", "gpu", "command")

Service = Mapping[str, Any]


@cache
def environment_file() -> str:
    """A `.env` as `make env` writes it."""
    done = subprocess.run(
        [sys.executable, "-c", "import make_env; print(make_env.content())"],
        cwd=ROOT / "deploy",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def config(folder: Path, *, env: str) -> "subprocess.CompletedProcess[str]":
    """The outcome of `docker compose config` with this content of `.env`."""
    file = folder / "env"
    file.write_text(env)
    profiles = [part for name in PROFILES for part in ("--profile", name)]
    return subprocess.run(
        [COMPOSE, "--env-file", file, *profiles, "config", "--format", "json"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def parsed(folder: Path) -> dict[str, Any]:
    """The whole configuration."""
    done = config(folder, env=environment_file())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def queues(service: Service) -> list[str]:
    """The queues that a worker's service listens to."""
    command = service["command"]
    named: str = command[command.index("-Q") + 1]
    return named.split(",")
