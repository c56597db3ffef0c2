"""Fair division of slots among runs, by weight. A run's workers divide theirs by stage (`shared.method.division`)."""

import heapq
import math
import uuid
from collections.abc import Mapping
from typing import TypeVar

from shared.store.keys import key

K = TypeVar("K", str, uuid.UUID)


def divide_by_weight(size: int, wanted: Mapping[K, int], weights: Mapping[K, float], turn: int = 0) -> dict[K, int]:
    """Divide `size` slots among those who want some: weighted max-min fair, in whole slots.

    Each slot goes to one who wants more and has the fewest for its weight, so everybody has one before anybody has
    two. Between equals lots decide, by weight and anew in each `turn`: with fewer slots than takers all have their
    time.
    """
    if sum(wanted.values()) <= size:
        return dict(wanted)
    given = dict.fromkeys(wanted, 0)
    asking = [(0.0, _lot(each, weights[each], turn), each) for each, count in wanted.items() if count]
    heapq.heapify(asking)
    for _ in range(size):
        _, lot, first = asking[0]
        given[first] += 1
        if given[first] < wanted[first]:
            heapq.heapreplace(asking, (given[first] / weights[first], lot, first))
        else:
            heapq.heappop(asking)
    return given


def _lot(each: object, weight: float, turn: int) -> float:
    """The smallest of these is one's with a chance in proportion to its weight."""
    chance = (key("lot", each, turn).int + 1) / 2**128
    return -math.log(chance) / weight
