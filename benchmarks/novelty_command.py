"""How long the command `ensemble-instruct novelty` takes as a whole, and whether it says what rouge-score says."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rouge_score.rouge_scorer import RougeScorer


@dataclass(frozen=True, slots=True)
class Command:
    """The command, all in: seconds for all candidates, milliseconds for one; and what the reference takes for one.

    The CPU is that of all processes; neighbours on the machine move it less than what the clock says.
    """

    pool: int
    candidates: int
    command_s: float
    command_ms: float
    reference_ms: float
    times_as_fast: float
    command_cpu_ms: float
    reference_cpu_ms: float
    times_less_cpu: float
    compared: int
    other_answers: int


def measure_command(
    pool: Sequence[str],
    candidates: Sequence[str],
    threshold: float,
    highest: Sequence[float],
    reference_ms: float,
    reference_cpu_ms: float,
) -> Command:
    """A process of its own; `highest` are the scores that the reference gave the first candidates with the pool."""
    with TemporaryDirectory() as folder:
        for name, texts in (("pool", pool), ("candidates", candidates)):
            lines = (json.dumps({"instruction": text}) + "\n" for text in texts)
            Path(folder, f"{name}.jsonl").write_text("".join(lines))
        program = [sys.executable, "-m", "services.admin.main", "novelty"]
        program += [f"--threshold={threshold}", f"{folder}/pool.jsonl", f"{folder}/candidates.jsonl"]
        started, cpu_before = time.perf_counter(), cpu_of_children()
        with Path(folder, "decided.jsonl").open("wb") as decided:
            subprocess.run(program, stdout=decided, stderr=subprocess.DEVNULL, check=True)
        seconds, cpu = time.perf_counter() - started, cpu_of_children() - cpu_before
        decided_lines = Path(folder, "decided.jsonl").read_bytes().split(b"\n")
    expected = list(with_each_other(candidates, threshold, highest))
    ms, cpu_ms = 1e3 * seconds / len(candidates), 1e3 * cpu / len(candidates)
    return Command(
        pool=len(pool),
        candidates=len(candidates),
        command_s=seconds,
        command_ms=ms,
        reference_ms=reference_ms,
        times_as_fast=reference_ms / ms,
        command_cpu_ms=cpu_ms,
        reference_cpu_ms=reference_cpu_ms,
        times_less_cpu=reference_cpu_ms / cpu_ms,
        compared=len(expected),
        other_answers=sum(
            (answer["accepted"], answer["max_similarity"]) != (high <= threshold, high)
            for answer, high in zip(map(json.loads, decided_lines), expected, strict=False)
        ),
    )


def with_each_other(candidates: Sequence[str], threshold: float, highest: Sequence[float]) -> Iterator[float]:
    """The highest scores of candidates with a pool and, by rouge-score, with those accepted before."""
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    accepted: list[str] = []
    for text, high in zip(candidates, highest, strict=False):
        highest_of_all = max([high, *(scorer.score(text, other)["rougeL"].fmeasure for other in accepted)])
        if highest_of_all <= threshold:
            accepted.append(text)
        yield highest_of_all


def cpu_of_children() -> float:
    """The seconds of CPU that processes have taken which this one began and has seen end, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
