"""`bench pipeline` for real: a Postgres, a Valkey, a fake LM and a worker, and nothing of them afterwards."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from shared.telemetry.cpu_profile import Part
from tests.integration.admin.command_line import PROGRAM, start

DEADLINE_S = 120.0
SHORT = ("bench", "pipeline", "--seconds", 1, "--slots", 4, "--latency", 0.05, "--workers", 1, "--json")


def test_it_measures_a_scenario_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [*PROGRAM, *map(str, SHORT)]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    (scenario,) = measured["scenarios"]
    assert (measured["workers"], scenario["slots"], scenario["latency_s"]) == (1, 4, 0.05)
    assert 0 < scenario["busy"] <= 1.01
    assert 0 < scenario["calls_per_s"] == scenario["calls"] / scenario["seconds"] < 1.5 * 4 / 0.05
    assert all(each >= 0 for each in scenario["cpu_ms_per_call"].values())
    assert set(measured["workers_cpu_s"]) == set(Part)
    assert sum(measured["workers_cpu_s"].values()) > 0
    assert {each["name"]: each["rows"] for each in measured["tables"]}["generations"] >= scenario["calls"]
    assert "measuring for 1 s" in done.stderr
    assert what_is_left(tmp_path) == []


def test_interrupted_it_leaves_nothing_behind(tmp_path: Path) -> None:
    process = start(*SHORT, environment=environment(tmp_path))
    until = time.monotonic() + DEADLINE_S
    while not list(tmp_path.glob("*/bench-1.log")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode not in (0, None)
    assert out == ""
    assert what_is_left(tmp_path) == []


def environment(folder: Path) -> dict[str, str]:
    """With the temporary folders below this one, and no services to use by mistake."""
    bare = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return {**bare, "TMPDIR": str(folder)}


def what_is_left(folder: Path) -> list[str]:
    """Files, and processes whose command line or environment names the folder."""
    left = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has ended meanwhile, or is another's
            continue
        if str(folder).encode() in told:
            left.append(process.name)
    return left
