"""Harm, each kind a schedule: it does something, and yields the seconds until it wants to go on."""

from collections.abc import Iterator

from tests.chaos.world import World

Schedule = Iterator[float]


def kill_workers(world: World, every_s: float = 2.0) -> Schedule:
    """kill -9 of a random worker, time and again."""
    yield every_s
    while True:
        if alive := world.workers.alive():
            world.chance.choice(alive).kill()
        yield every_s
