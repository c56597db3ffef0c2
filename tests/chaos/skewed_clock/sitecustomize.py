"""Found by Python at its start when this folder is on PYTHONPATH: the process's clock is wrong by `SKEW_S` seconds."""

import datetime as module
import os
import time
from datetime import datetime, timedelta, tzinfo
from typing import Self

SKEW_S = float(os.environ["SKEW_S"])
_time, _time_ns = time.time, time.time_ns


class SkewedDatetime(datetime):
    """What time it is, by the wrong clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Now, and then some."""
        return super().now(tz) + timedelta(seconds=SKEW_S)


time.time = lambda: _time() + SKEW_S
time.time_ns = lambda: _time_ns() + int(SKEW_S * 1e9)
setattr(module, "datetime", SkewedDatetime)  # noqa: B010 - a type checker takes no other class for it
