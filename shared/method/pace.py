"""How a stream of LM calls paces itself. Workers keep to it, and a simulation of a run foresees them by it."""

BATCH = 128  # answers written at once, at most
WRITES = 3  # batches of a stream that are written at once, at most: one writer would be waited for
UNWRITTEN = 2 * BATCH  # answers of a stream that wait or are being written, above which no call is sent
FLUSH_S = 0.5  # how long an answer waits for others before it is written, at most
AHEAD_S = 0.5  # for how long the work claimed ahead should last
MOST_AHEAD = 256  # pieces of work, however quick the model
MOST_PROPOSALS = 256  # that pass the gate in one transaction
VERDICTS = 128  # made in one transaction, at most
RENEW_S = 0.25  # how often a worker's share of a window is renewed while others want some of it
TOLERANCE = 8  # one part in so many of a run's slots more than is fair is not passed on: it would be idle on its way
PASSED_ON = 64  # and of what is, one part in so many at a time


def calls_ahead(calls_per_s: float) -> int:
    """How many calls will be sent before more work can have been claimed and rendered, with time to spare."""
    return max(1, min(MOST_AHEAD, int(calls_per_s * AHEAD_S)))


def appetite(free: int, ahead: int, waiting: int) -> int:
    """How much work to claim: for the `free` slots and what is sent next, less what is `waiting`, and not in dribs."""
    if waiting >= free and waiting > ahead // 2:
        return 0
    return max(0, min(MOST_AHEAD, free + ahead - waiting))
