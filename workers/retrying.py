"""Whether a failed call is tried again, and when."""

import random

from shared.job import RetryPolicy
from shared.lm.errors import COUNTERS, LMError, Overloaded
from shared.store.work import Claim, Postponement


def postponement(policy: RetryPolicy, claim: Claim, error: LMError, chance: random.Random) -> Postponement | None:
    """When to try again, with exponential back-off and full jitter; `None` when no try is left.

    Not before the time that the server asked for, if that is within the cap of the back-off.
    What says nothing of the call itself, a server that is full or away, is counted apart from what may.
    """
    if not error.retryable:
        return None
    counter = COUNTERS[error.fault]
    tried = getattr(claim, counter)
    if tried + 1 >= getattr(policy, counter):
        return None
    most = min(policy.backoff_cap_s, policy.backoff_s * 2.0 ** min(tried, 30))
    asked = (isinstance(error, Overloaded) and error.retry_after_s) or 0.0
    wait_s = max(chance.uniform(0, most), min(asked, policy.backoff_cap_s))
    return Postponement(claim, error.fault, error.detail, counter, wait_s)
