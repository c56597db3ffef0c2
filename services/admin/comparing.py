"""Comparing candidates in as many processes as there are processors."""

import signal
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context

from services.local.cpu_time import usable_cpus
from shared.errors import WorldError
from shared.method.selection import Compared, Piece, Selection

PIECE = 384  # candidates
MOST_PROCESSES = 8


class ComparingEndedError(WorldError):
    """A process that compared candidates was ended from outside, perhaps for want of memory; try again"""


_selections: list[Selection] = []  # the one that a forked process was given


def compared(selection: Selection, count: int) -> Iterator[Compared]:
    """The first `count` candidates compared piece by piece in order; each piece has to be decided on before the next.

    A few pieces are compared ahead.
    """
    processes = min(usable_cpus(), MOST_PROCESSES) if sys.platform == "linux" else 1
    pieces = ((start, min(start + PIECE, count)) for start in range(0, count, PIECE))
    if processes == 1 or count <= PIECE:
        return (selection.compare(selection.piece(*piece)) for piece in pieces)
    return _ahead(selection, pieces, processes)


def _ahead(selection: Selection, pieces: Iterator[tuple[int, int]], processes: int) -> Iterator[Compared]:
    """Forks at once, before the caller starts a thread."""
    executor = ProcessPoolExecutor(processes, get_context("fork"), _begin, (selection,))
    waiting = deque(executor.submit(_compare, selection.piece(*piece)) for piece in islice(pieces, 2 * processes))

    def in_order() -> Iterator[Compared]:
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(executor.submit(_compare, selection.piece(*piece)) for piece in islice(pieces, 1))
        except BrokenProcessPool as error:
            raise ComparingEndedError from error
        finally:
            executor.shutdown(cancel_futures=True)

    return in_order()


def _begin(selection: Selection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, too, and ends this process
    _selections.append(selection)


def _compare(piece: Piece) -> Compared:
    return _selections[0].compare(piece)
