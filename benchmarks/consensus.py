"""The consensus over three outputs: ours, and the reference's way, in one run.

    python -m benchmarks.consensus --out consensus.json

The reference makes three new `RougeScorer`s for each instance, one for each pair, and stems every word anew.
Ours is `judge` as the worker and the command call it; both decide on the same instances, and the choices of the
default rule are compared. Times are means for an instance, each way's three rounds taken in turn, the best given.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.instruction_texts import instructions
from shared.method.consensus import Rule, comparable, judge

ROUNDS = 3
THRESHOLD = 0.01
SHORT = (1, 1, 2, 3, 5, 8, 14, 25, 45, 80)  # words: the outputs of small LMs are short, a few are long
Outputs = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A size of outputs; times in milliseconds for an instance."""

    outputs: str
    instances: int
    mean_words: float
    reference_ms: float
    ours_ms: float
    times_as_fast: float
    other_choices: int


def by_the_reference(outputs: Outputs) -> int | None:
    """What the reference chooses, in its way."""
    a, b, c = map(comparable, outputs)
    scores = [
        RougeScorer(["rougeL"], use_stemmer=True).score(one, other)["rougeL"].fmeasure
        for one, other in ((a, b), (a, c), (b, c))
    ]
    if a in (b, c):
        return 0 if a else None
    if b == c:
        return 1 if b else None
    sums = [scores[0] + scores[1], scores[0] + scores[2], scores[1] + scores[2]]
    choice = sums.index(max(sums))
    return choice if min(scores) > THRESHOLD and (a, b, c)[choice] else None


def ours(outputs: Outputs) -> int | None:
    """What our default rule chooses."""
    return judge(outputs, Rule.ENSEMBLE_INSTRUCT, THRESHOLD).choice


def instances(count: int, lengths: Sequence[int], seed: int) -> list[Outputs]:
    """Three outputs each: texts of the given lengths that have a half of their words in common, in order."""
    random = Random(seed)
    source = (word for text in instructions(seed) for word in text.split())

    def one() -> Outputs:
        length = random.choice(lengths)
        first = list(islice(source, length))
        others = [[word if random.random() < 0.5 else next(source) for word in first] for _ in range(2)]
        a, b, c = (" ".join(words) for words in (first, *others))
        return a, b, c

    return [one() for _ in range(count)]


def measure(name: str, lengths: Sequence[int], count: int) -> Row:
    """Both ways on the same instances."""
    asked = instances(count, lengths, seed=len(lengths))
    by_the_reference(asked[0])  # NLTK is imported
    ours(asked[0])
    theirs_s, ours_s = [], []
    for _ in range(ROUNDS):
        seconds, expected = timed(by_the_reference, asked)
        theirs_s.append(seconds)
        seconds, chosen = timed(ours, asked)
        ours_s.append(seconds)
    words = statistics.mean(len(text.split()) for outputs in asked for text in outputs)
    different = sum(a != b for a, b in zip(expected, chosen, strict=True))
    reference_ms, ours_ms = 1e3 * min(theirs_s) / count, 1e3 * min(ours_s) / count
    return Row(name, count, words, reference_ms, ours_ms, reference_ms / ours_ms, different)


def timed(choose: Callable[[Outputs], int | None], asked: Sequence[Outputs]) -> tuple[float, list[int | None]]:
    """Seconds for all, and the choices."""
    started = time.perf_counter()
    chosen = [choose(outputs) for outputs in asked]
    return time.perf_counter() - started, chosen


def main() -> None:
    """Measure three sizes, print a table, write the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--short", type=int, default=400, help="instances of short outputs")
    parser.add_argument("--long", type=int, default=4, help="instances of outputs of 500 and 2,000 words")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    given = parser.parse_args()
    rows = [
        measure("short, mixed", SHORT, given.short),
        measure("500 words", [500], given.long),
        measure("2,000 words", [2000], max(given.long // 2, 1)),
    ]
    table = Table("outputs", "instances", "mean words", "reference ms", "ours ms", "times as fast", "other choices")
    for row in rows:
        table.add_row(
            row.outputs,
            str(row.instances),
            f"{row.mean_words:.0f}",
            f"{row.reference_ms:.2f}",
            f"{row.ours_ms:.4f}",
            f"{row.times_as_fast:,.0f}",
            str(row.other_choices),
        )
    Console().print(table)
    if given.out:
        given.out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
