import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.method.rouge import rouge_l, words
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
        (["threading"], None),
        ([], None),
    ],
)
def test_cpu_belongs_to_the_innermost_module_of_a_part(modules: list[str], part: Part | None) -> None:
    assert part_of_stack(modules) is part


def test_a_module_of_no_part_counts_for_the_one_that_called_it() -> None:
    assert part_of_stack(["json.decoder", "json", "shared.lm.http", "workers.streaming"]) is Part.HTTP


def test_a_name_that_only_begins_like_a_package_is_not_in_it() -> None:
    assert part_of_stack(["redistribution", "shared.methodical"]) is None


def test_a_thread_whose_stack_tells_nothing_has_a_part_of_its_own(tmp_path: Path) -> None:
    spin(0.3)  # what was used before is not counted
    seconds = profiled(tmp_path, "loop-3", lambda: spin(0.3))
    assert set(seconds) == set(Part)
    assert 0.25 < seconds[Part.HTTP] < 0.4
    assert seconds[Part.REST] < 0.1


def test_a_loops_own_time_is_its_parts_though_it_was_seen_at_others(tmp_path: Path) -> None:
    def calls_the_method_now_and_then() -> None:
        spin_in_the_method(0.6)
        spin(0.6)

    seconds = profiled(tmp_path, "loop", calls_the_method_now_and_then)
    assert seconds[Part.METHOD] > 0.2
    assert seconds[Part.HTTP] > 0.2


def test_what_a_package_of_a_part_uses_is_that_parts(tmp_path: Path) -> None:
    seconds = profiled(tmp_path, "pool", lambda: spin_in_the_method(0.5))
    assert 0.45 < seconds[Part.METHOD] < 0.7


def test_what_was_used_before_a_wait_belongs_to_what_the_thread_does_otherwise(tmp_path: Path) -> None:
    def now_and_then() -> None:
        for _ in range(20):
            spin_in_the_method(0.03)
            time.sleep(0.03)

    seconds = profiled(tmp_path, "pool", now_and_then)
    assert seconds[Part.METHOD] > 0.5
    assert seconds[Part.REST] < 0.1


def profiled(folder: Path, name: str, work: Callable[[], object]) -> dict[str, float]:
    """What a thread of this name uses for some work, by part; it lives on until it was looked at once more."""
    profile, worked, seen = CpuProfile(folder / "cpu.json", {"loop": Part.HTTP}), threading.Event(), threading.Event()

    def at_work() -> None:
        work()
        worked.set()
        seen.wait()

    thread = threading.Thread(target=at_work, name=name)
    thread.start()
    worked.wait()
    profile.stop()
    seen.set()
    thread.join()
    seconds: dict[str, float] = json.loads((folder / "cpu.json").read_text())
    return seconds


def spin_in_the_method(seconds: float) -> None:
    """Use this much of this thread's CPU, or some hundredths more, for comparing texts."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        for _ in range(200):  # the clock is a system call, at which a busy machine likes to take the CPU away
            rouge_l(words("one two three " * 300), words("three two one " * 300))


def spin(seconds: float) -> float:
    """Use this much of this thread's CPU."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return seconds
