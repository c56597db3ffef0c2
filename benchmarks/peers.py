"""LM calls a second by this project's whole pipeline, and rows a second by two other generators, in turn.

    python -m benchmarks.peers --distilabel VENV/bin/python --curator VENV/bin/python

All of them call the fake LM that answers at once, 64 calls at a time. The others make one call for a row and keep no
provenance of it; their rate is that of the rows that a long run makes more than a short one, so that starting is left
out. Each interpreter has the generator that its option names: `pip install 'distilabel[openai]' requests`,
`pip install bespokelabs-curator`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

AT_ONCE = 64
FEW, MANY = 1_000, 5_000  # rows
SECONDS = 12


@contextmanager
def fake_lm() -> Iterator[str]:
    """A fake LM that answers at once, and its address."""
    command = [sys.executable, "-m", "shared.lm.fake", "--model", "fake"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


def calls_a_second(workers: int) -> float:
    """Of the pipeline, everything stored."""
    command = [sys.executable, "-m", "services.admin.main", "bench", "pipeline", "--json", "--latency=0"]
    command += [f"--workers={workers}", f"--slots={AT_ONCE}", f"--seconds={SECONDS}"]
    rate: float = json.loads(_said(command))["scenarios"][0]["calls_per_s"]
    return rate


def rows_a_second(python: Path, program: str) -> float:
    """Of another generator."""
    with fake_lm() as url, TemporaryDirectory() as folder:
        few, many = (_seconds(python, program, url, rows, folder) for rows in (FEW, MANY))
    return (MANY - FEW) / (many - few)


def _seconds(python: Path, program: str, url: str, rows: int, folder: str) -> float:
    command = [str(python.absolute()), str(Path(__file__).with_name(program)), url, str(rows), str(AT_ONCE)]
    return float(_said(command, folder).split()[-1])


def _said(command: list[str], folder: str | None = None) -> str:
    done = subprocess.run(command, capture_output=True, cwd=folder, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def main() -> None:
    """Measure in turn, print every figure, the medians, and how many times as many they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--distilabel", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--curator", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    generators: dict[str, Callable[[], float]] = {
        "distilabel": lambda: rows_a_second(given.distilabel, "peer_distilabel.py"),
        "curator": lambda: rows_a_second(given.curator, "peer_curator.py"),
        "ours, 1 worker": lambda: calls_a_second(1),
        "ours, 2 workers": lambda: calls_a_second(2),
    }
    rates: dict[str, list[float]] = {name: [] for name in generators}
    for _ in range(given.times):
        for name, measure in generators.items():
            rates[name].append(round(measure(), 1))
            print(f"{name}: {rates[name][-1]} a second", file=sys.stderr)
    ours = max(median(rates["ours, 1 worker"]), median(rates["ours, 2 workers"]))
    for name, each in rates.items():
        print(f"{name:<16}{median(each):>8.0f} a second{ours / median(each):>7.1f} times as many by ours   {each}")
    if given.out:
        given.out.write_text(json.dumps(rates, indent=2) + "\n")


if __name__ == "__main__":
    main()
