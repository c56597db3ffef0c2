"""Novelty: our index, and the reference's way, in one run.

    python -m benchmarks.novelty --out novelty.json
    python -m benchmarks.novelty --sizes 10000 --million --catch-up

The reference makes a `multiprocessing.Pool(4)` for each candidate and maps rouge-score's `score` over the whole
pool; it is timed on a few candidates. Ours is timed on many, each alone: the decision with the score that forbids
(`nearest_above`), and the ten most similar with their scores, alone (`most_similar`) and many together (`rank_all`).
On the candidates that the reference was timed on, both decisions and highest scores are compared. Then the command
`ensemble-instruct novelty` is timed as a whole, from its start to its end, on files with the same pool and
`--command` candidates; the reference's are the first of them, and compared again. `--million` fills an index with a
million texts and measures it on one core; `--catch-up` brings a worker's index up to date from a million rows in a
real Postgres.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from multiprocessing import Pool, get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.instruction_texts import instructions
from benchmarks.novelty_catch_up import catch_up
from benchmarks.novelty_command import Command, cpu_of_children, measure_command
from benchmarks.resident import resident_mb
from shared.method.novelty import NoveltyIndex

P = ParamSpec("P")
T = TypeVar("T")

THRESHOLD = 0.7
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A pool's size; times in milliseconds for a candidate, the last four count what both ways decided on."""

    pool: int
    build_s: float
    reference_ms: float
    decision_ms: float
    ten_ms: float
    ten_together_ms: float
    times_as_fast: float
    compared: int
    refused: int
    other_decisions: int
    other_scores: int


@dataclass(frozen=True, slots=True)
class Large:
    """A pool too large for the reference; the memory without and with what is kept to rank many together."""

    pool: int
    build_s: float
    memory_mb: float
    ranking_memory_mb: float
    bytes_a_text: float
    decisions_per_s: float
    decision_ms: float
    ten_ms: float
    ten_together_ms: float


def by_the_reference(texts: Sequence[str], text: str) -> float:
    """The highest score, in the reference's way."""
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    with Pool(4) as pool:
        scores = pool.map(partial(scorer.score, text), texts)
    return max(float(score["rougeL"].fmeasure) for score in scores)


def built(texts: Sequence[str]) -> tuple[NoveltyIndex, float]:
    """An index over the texts, and the seconds it took."""
    started = time.perf_counter()
    index = NoveltyIndex(THRESHOLD)
    index.add_all(map(str, range(len(texts))), texts)
    return index, time.perf_counter() - started


def mean_ms(answer: Callable[[str], object], candidates: Sequence[str]) -> float:
    """The mean over all candidates, after a warm-up on some of them."""
    for candidate in candidates[:100]:
        answer(candidate)
    started = time.perf_counter()
    for candidate in candidates:
        answer(candidate)
    return 1e3 * (time.perf_counter() - started) / len(candidates)


def measure(size: int, count: int, compared: int, asked: int) -> tuple[Row, Command]:
    """Both ways on one pool; the reference first, as its processes are copies of a small one then."""
    source = instructions()
    texts, candidates = list(islice(source, size)), list(islice(source, count))
    both = [doubled(texts[37 * n]) if n % 2 else candidates[n] for n in range(compared)]
    started, cpu_before = time.perf_counter(), cpu_of_children()
    highest = [by_the_reference(texts, text) for text in both]
    reference_ms = 1e3 * (time.perf_counter() - started) / compared
    reference_cpu_ms = 1e3 * (cpu_of_children() - cpu_before) / compared
    command = measure_command(
        texts, [*both, *islice(source, asked - compared)], THRESHOLD, highest, reference_ms, reference_cpu_ms
    )
    index, build_s = built(texts)
    nearest = [index.nearest_above(text) for text in both]
    other_decisions = sum((near is not None) != (high > THRESHOLD) for near, high in zip(nearest, highest, strict=True))
    other_scores = sum(
        index.assess(text).max_similarity != high or (near is not None and near.score != high)
        for text, near, high in zip(both, nearest, highest, strict=True)
    )
    decision_ms = mean_ms(index.nearest_above, candidates)
    row = Row(
        pool=len(texts),
        build_s=build_s,
        reference_ms=reference_ms,
        decision_ms=decision_ms,
        ten_ms=mean_ms(index.most_similar, candidates),
        ten_together_ms=together_ms(index, candidates),
        times_as_fast=reference_ms / decision_ms,
        compared=compared,
        refused=sum(near is not None for near in nearest),
        other_decisions=other_decisions,
        other_scores=other_scores,
    )
    return row, command


def together_ms(index: NoveltyIndex, candidates: Sequence[str]) -> float:
    """The mean of ranking all candidates in pages as large as a gate's."""
    started = time.perf_counter()
    for start in range(0, len(candidates), 256):
        index.rank_all(candidates[start : start + 256])
    return 1e3 * (time.perf_counter() - started) / len(candidates)


def doubled(text: str) -> str:
    """The text with its last word said again, which is still too similar."""
    return f"{text} {text.split()[-1]}"


def measure_large(size: int, count: int) -> Large:
    """Ours alone: the memory is what the process grows by, texts not kept."""
    source = instructions()
    before = resident_mb()
    index, build_s = NoveltyIndex(THRESHOLD), 0.0
    for start in range(0, size, 10_000):
        texts = list(islice(source, 10_000))
        started = time.perf_counter()
        index.add_all(map(str, range(start, start + len(texts))), texts)
        build_s += time.perf_counter() - started
    gc.collect()
    memory_mb = resident_mb() - before
    candidates = list(islice(source, count))
    decision_ms = mean_ms(index.nearest_above, candidates)
    return Large(
        pool=size,
        build_s=build_s,
        memory_mb=memory_mb,
        bytes_a_text=1e6 * memory_mb / size,
        decisions_per_s=1e3 / decision_ms,
        decision_ms=decision_ms,
        ten_ms=mean_ms(index.most_similar, candidates),
        ten_together_ms=together_ms(index, candidates),
        ranking_memory_mb=resident_mb() - before,
    )


def alone(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `work` returns from a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *arguments, **named).result()


def show(title: str, rows: Sequence[Any]) -> None:
    """Rows as a table."""
    values = [asdict(row) for row in rows]
    table = Table(*values[0], title=title)
    for each in values:
        table.add_row(*(f"{value:,.3f}" if isinstance(value, float) else f"{value:,}" for value in each.values()))
    Console(width=160).print(table)


def main() -> None:
    """Measure what is asked for, print tables, write all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 200_000], help="of the pools")
    parser.add_argument("--candidates", type=int, default=1000, help="for ours")
    parser.add_argument("--compared", type=int, default=5, help="candidates for the reference")
    parser.add_argument("--command", type=int, default=10_000, help="candidates for the command")
    parser.add_argument("--million", action="store_true", help="a pool of a million")
    parser.add_argument("--catch-up", action="store_true", help="a million rows from Postgres")
    parser.add_argument("--rows", type=int, default=MILLION, help="how many for --million and --catch-up")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    given = parser.parse_args()
    figures: dict[str, list[Any]] = {}
    if given.sizes:
        measured = [measure(size, given.candidates, given.compared, given.command) for size in given.sizes]
        figures["pools"], figures["command"] = map(list, zip(*measured, strict=True))
        show("against a process pool for each candidate over rouge-score", figures["pools"])
        show("the command, all in: start, reading, index, decisions, ten most similar, writing", figures["command"])
    if given.million:
        figures["million"] = [alone(measure_large, given.rows, given.candidates)]
        show("a pool too large for the reference, on one core", figures["million"])
    if given.catch_up:
        figures["catch_up"] = [alone(catch_up, given.rows)]
        show("a worker's index after a restart", figures["catch_up"])
    if given.out:
        values = {name: [asdict(row) for row in rows] for name, rows in figures.items()}
        given.out.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    main()
