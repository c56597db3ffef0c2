import json
import threading
import time
from pathlib import Path

import pytest

from shared.telemetry.cpu_profile import CpuProfile, Part, part_of_stack


@pytest.mark.parametrize(
    ("modules", "part"),
    [
        (["redis.connection", "kombu.transport.redis", "celery.worker"], Part.QUEUE),
        (["shared.queue.hints", "workers.stages"], Part.QUEUE),
        (["httptools.parser", "shared.lm.http", "workers.streaming"], Part.HTTP),
        (["psycopg.cursor", "sqlalchemy.engine.base", "workers.stages"], Part.DATABASE),
        (["shared.store.work", "workers.streaming", "celery.app.task"], Part.DATABASE),
        (["jinja2.environment", "shared.method.prompts", "workers.streaming"], Part.METHOD),
        (["workers.streaming", "asyncio.events"], Part.REST),
        (["threading"], Part.REST),
        ([], Part.REST),
    ],
)
def test_cpu_belongs_to_the_innermost_module_of_a_part(modules: list[str], part: Part) -> None:
    assert part_of_stack(modules) is part


def test_a_module_of_no_part_counts_for_the_one_that_called_it() -> None:
    assert part_of_stack(["json.decoder", "json", "shared.lm.http", "workers.streaming"]) is Part.HTTP


def test_a_name_that_only_begins_like_a_package_is_not_in_it() -> None:
    assert part_of_stack(["redistribution", "shared.methodical"]) is Part.REST


def test_a_thread_whose_stack_tells_nothing_has_a_part_of_its_own() -> None:
    assert part_of_stack(["threading"], Part.HTTP) is Part.HTTP


def test_what_a_thread_uses_is_added_up(tmp_path: Path) -> None:
    spin(0.3)  # what was used before is not counted
    profile = CpuProfile(tmp_path / "cpu.json", {"loop": Part.HTTP})
    thread = threading.Thread(target=spin, args=(0.3,), name="loop")
    thread.start()
    thread.join()
    profile.stop()
    seconds = json.loads((tmp_path / "cpu.json").read_text())
    assert set(seconds) == set(Part)
    assert 0.25 < seconds[Part.HTTP] < 0.4
    assert seconds[Part.REST] < 0.1


def spin(seconds: float) -> float:
    """Use this much of this thread's CPU."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return seconds
