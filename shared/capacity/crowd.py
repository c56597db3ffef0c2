"""How many calls there were at once, as a call saw it."""

from collections.abc import Iterable
from typing import NamedTuple


class Interval(NamedTuple):
    """From when to when a call was under way, in seconds."""

    begin: float
    end: float


def crowd(calls: Iterable[Interval]) -> float:
    """The mean over all calls and their time of the calls under way, the call itself included; 0 without any.

    Unlike the mean over time, it says nothing of pauses, of the beginning and the end.
    """
    steps = sorted(step for call in calls for step in ((call.begin, 1), (call.end, -1)))
    under_way, since, call_s, crowd_s = 0, 0.0, 0.0, 0.0
    for moment, change in steps:
        call_s += under_way * (moment - since)
        crowd_s += under_way**2 * (moment - since)
        under_way, since = under_way + change, moment
    return crowd_s / call_s if call_s else 0.0
