"""No two accepted instructions of a type are too alike, whoever accepted them: counted anew with `rouge_score`.

Comparing all pairs that way would take days at a hundred thousand instructions. The index finds each one's nearest
neighbour if it comes near the threshold at all, and what comes near is scored by `rouge_score`. Texts beyond ASCII,
of which `rouge_score` sees no word, keep the index's own score.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy.orm import Session

from shared.method.novelty import NoveltyIndex
from shared.method.tasks import TaskType
from shared.store.audit.check import Finding
from shared.store.gate import accepted_since
from shared.store.loading import RunContext

NEAR = 0.05  # so much below the threshold a pair is near enough to be scored anew


def novelty(session: Session, context: RunContext) -> Finding:
    """The pairs of an accepted instruction and an earlier one, or a seed, of its type above the threshold."""
    task_types = context.job.targets if context.job.instructions.novelty_threshold < 1 else ()  # nothing is above 1
    pairs = (pair for task_type in task_types for pair in alike(texts(session, context, task_type), context))
    return Finding.of(
        "instructions too alike",
        f"no accepted instruction has Rouge-L above {context.job.instructions.novelty_threshold:g} with another of its "
        "run and type, or with a seed of its type",
        pairs,
    )


def texts(session: Session, context: RunContext, task_type: TaskType) -> Iterator[tuple[str, str, bool]]:
    """Keys and texts, and whether each may be like one before it: seeds may.

    The seeds of an imported run were there after its instructions.
    """
    seeds = [] if context.job.imported else context.seeds[task_type]
    yield from ((seed.key, seed.task.instruction, True) for seed in seeds)
    for instruction in accepted_since(session, context.run_id, task_type, 0):
        yield str(instruction.id), instruction.text, False


def alike(known: Iterator[tuple[str, str, bool]], context: RunContext) -> Iterator[str]:
    """Every text that is too much like one before it, each with the most similar."""
    threshold = context.job.instructions.novelty_threshold
    index = NoveltyIndex(max(0.0, threshold - NEAR))
    by_key: dict[str, str] = {}
    for key, text, free in known:
        near = None if free else index.nearest_above(text)
        if near and _score(text, by_key[near.key], near.score) > threshold:
            yield f"{key} like {near.key}"
        index.add(key, text)
        by_key[key] = text


def _score(text: str, other: str, score: float) -> float:
    if not (text.isascii() and other.isascii()):
        return score
    found: float = _scorer().score(other, text)["rougeL"].fmeasure
    return found


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # takes half a second

    return RougeScorer(["rougeL"], use_stemmer=False)
