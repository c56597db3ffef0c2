"""Fair division of a window's slots among the workers of a run."""

from collections.abc import Mapping, Sequence


def divide_by_stage(size: int, wanted: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Divide `size` slots among workers, each of which wants some for each stage, the first stage first.

    The last stage is served first, since its work is nearest to an example; within a stage nobody gets more while
    another who wants more has less.
    """
    given = dict.fromkeys(wanted, 0)
    stages = max((len(each) for each in wanted.values()), default=0)
    for stage in reversed(range(stages)):
        left = size - sum(given.values())
        asking = sorted((each[stage], worker) for worker, each in wanted.items())
        for others, (count, worker) in zip(range(len(asking), 0, -1), asking, strict=True):
            got = min(count, left // others)
            given[worker] += got
            left -= got
    return given
