"""Waiting for a database that restarts, is full, or read-only."""

import asyncio
from collections.abc import Callable
from itertools import chain, repeat
from threading import Event
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.store.session import cause, passes

T = TypeVar("T")
log = structlog.get_logger()

DATABASE_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between tries; the last, again


async def patiently(stopping: Event, function: Callable[..., T], *arguments: object) -> T:
    """Do it in a thread, again and again while the database is away, but not much longer than the worker lives.

    Raises what does not pass, and after the last of the waits whatever it is once the worker is `stopping`.
    """
    for wait_s in chain(DATABASE_WAITS_S, repeat(DATABASE_WAITS_S[-1])):
        try:
            return await asyncio.to_thread(function, *arguments)
        except SQLAlchemyError as error:
            if not passes(error) or (stopping.is_set() and wait_s == DATABASE_WAITS_S[-1]):
                raise
            log.warning("the database takes nothing now, will try again", error=cause(error))
            await asyncio.sleep(wait_s)
    raise AssertionError("repeat() has no end")
