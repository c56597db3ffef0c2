"""Decisions on novelty as lines of JSON.

They are put together from what is encoded once for each text and each score. An encoder of whole lines takes three
times as long, which would be a fifth of the command's time.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from shared.method.selection import Decision

_encoded = json.JSONEncoder(ensure_ascii=False).encode


class Instructions(NamedTuple):
    """A file's instructions, and the lines where they stand."""

    lines: Sequence[int]
    texts: Sequence[str]


class _Mentions(dict[int, tuple[str, str]]):
    """What is said of a text among the most similar, before its score and after it, with a comma."""

    def __init__(self, pool: Instructions, candidates: Instructions) -> None:
        super().__init__()
        self._pool = pool
        self._candidates = candidates

    def __missing__(self, text: int) -> tuple[str, str]:
        number = text - len(self._pool.lines)
        source, of, number = ("pool", self._pool, text) if number < 0 else ("candidates", self._candidates, number)
        before = f'{{"instruction": {_encoded(of.texts[number])}, "score": '
        self[text] = before, f', "source": "{source}", "line": {of.lines[number]}}}, '
        return self[text]


class _Scores(dict[float, str]):
    def __missing__(self, score: float) -> str:
        self[score] = _encoded(score)
        return self[score]


class DecisionLines:
    """Writes decisions on candidates as JSON."""

    def __init__(self, pool: Instructions, candidates: Instructions) -> None:
        self._candidates = candidates
        self._mentions = _Mentions(pool, candidates)
        self._scores = _Scores()

    def line(self, decision: Decision) -> str:
        """The candidate's instruction, accepted, max_similarity, and most_similar: instruction, score, source, line."""
        mentions, scores = self._mentions, self._scores
        similar: list[str] = []
        for text, score in decision.most_similar:
            before, after = mentions[text]
            similar += (before, scores[score], after)
        return (
            f'{{"instruction": {_encoded(self._candidates.texts[decision.candidate])}, '
            f'"accepted": {_encoded(decision.accepted)}, "max_similarity": {scores[decision.max_similarity]}, '
            f'"most_similar": [{"".join(similar)[:-2]}]}}'
        )
