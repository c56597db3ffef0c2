"""Found by Python at its start when this folder is on PYTHONPATH: the process's clock is wrong by an hour or so."""

import datetime
import os
import time

SKEW_S = float(os.environ["SKEW_S"])
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime


class SkewedDatetime(_datetime):
    """What time it is, by the wrong clock."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _datetime:
        return _datetime.now(tz) + datetime.timedelta(seconds=SKEW_S)

    @classmethod
    def utcnow(cls) -> _datetime:
        return cls.now(datetime.UTC).replace(tzinfo=None)


time.time = lambda: _time() + SKEW_S
time.time_ns = lambda: _time_ns() + int(SKEW_S * 1e9)
datetime.datetime = SkewedDatetime  # type: ignore[misc]
