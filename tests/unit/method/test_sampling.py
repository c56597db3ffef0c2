"""Which demonstrations are drawn."""

from hypothesis import given
from hypothesis import strategies as st

from shared.method.sampling import (
    SPARES,
    KeyedInstruction,
    KeyedSeed,
    draw_generated,
    draw_instead,
    rng,
    sample_instance_demonstrations,
    sample_instruction_demonstrations,
)
from shared.method.tasks import Demonstration, DemonstrationKind, SeedInstance, SeedTask


def seed(number: int) -> KeyedSeed:
    instances = tuple(SeedInstance(f"in {number}.{one}", f"out {number}.{one}") for one in range(3))
    return KeyedSeed(f"s{number}", SeedTask(f"id{number}", "", f"Do task {number}.", instances, False))


SEEDS = [seed(number) for number in range(40)]
GENERATED = [KeyedInstruction(f"i{number}", f"Do new task {number}.") for number in range(4)]


def instructions(ordinal: int, reuse: int = 1, key: str = "run") -> tuple[Demonstration, ...]:
    return sample_instruction_demonstrations(SEEDS, GENERATED, n_seeds=20, key=key, ordinal=ordinal, reuse=reuse)


def test_the_same_parts_give_the_same_chance() -> None:
    assert rng("a", 1).random() == rng("a", 1).random()
    assert rng("a", 1).random() != rng("a", 2).random()


def test_parts_are_kept_apart() -> None:
    assert rng("ab", "c").random() != rng("a", "bc").random()


def test_seeds_come_first_and_then_the_generated() -> None:
    kinds = [demonstration.kind for demonstration in instructions(0)]
    assert kinds == [DemonstrationKind.SEED] * 20 + [DemonstrationKind.INSTRUCTION] * 4


def test_the_same_call_is_drawn_again_the_same() -> None:
    assert instructions(7) == instructions(7)


def test_another_key_draws_others() -> None:
    assert instructions(0, key="run") != instructions(0, key="other")


def test_calls_in_a_row_share_their_seeds_for_as_long_as_they_are_reused() -> None:
    calls = [instructions(ordinal, reuse=3) for ordinal in range(4)]
    assert calls[0][:20] == calls[1][:20] == calls[2][:20] != calls[3][:20]


def test_without_reuse_every_call_has_its_own_seeds() -> None:
    assert instructions(0)[:20] != instructions(1)[:20]


def test_an_instance_demonstration_is_one_of_its_seeds_own() -> None:
    drawn = sample_instance_demonstrations(SEEDS, n_seeds=18, key="run", ordinal=0)
    by_key = {one.key: one.task for one in SEEDS}
    assert len(drawn) == 18
    for demonstration in drawn:
        task = by_key[demonstration.key]
        assert demonstration.instruction == task.instruction
        assert SeedInstance(demonstration.input, demonstration.output) in task.instances


def test_instance_demonstrations_are_reused_whole() -> None:
    calls = [
        sample_instance_demonstrations(SEEDS, n_seeds=5, key="run", ordinal=ordinal, reuse=2) for ordinal in range(3)
    ]
    assert calls[0] == calls[1] != calls[2]


def test_the_generated_are_drawn_anew_for_every_call() -> None:
    assert draw_generated(30, 4, key="run", ordinal=3) == draw_generated(30, 4, key="run", ordinal=3)
    assert draw_generated(30, 4, key="run", ordinal=3) != draw_generated(30, 4, key="run", ordinal=4)


@given(st.integers(0, 30), st.integers(0, 60), st.integers(0))
def test_drawn_numbers_are_in_the_pool_and_none_comes_twice(pool: int, count: int, ordinal: int) -> None:
    drawn = draw_generated(pool, count, key="run", ordinal=ordinal)
    assert len(drawn) == len(set(drawn)) == min(pool, count)
    assert set(drawn) <= set(range(pool))


@given(st.integers(0, 40), st.integers(0, 60), st.integers(0))
def test_never_more_seeds_than_asked_nor_than_there_are_nor_twice_the_same(pool: int, count: int, ordinal: int) -> None:
    drawn = sample_instruction_demonstrations(SEEDS[:pool], (), n_seeds=count, key="run", ordinal=ordinal)
    assert len(drawn) == len({demonstration.key for demonstration in drawn}) == min(pool, count)


@given(pool=st.integers(1, 300), count=st.integers(1, 6), ordinal=st.integers(0, 50))
def test_spares_are_others_of_the_pool_and_the_same_again(pool: int, count: int, ordinal: int) -> None:
    drawn = draw_generated(pool, count, key="run", ordinal=ordinal)
    spares = draw_instead(pool, drawn, key="run", ordinal=ordinal)
    assert spares == draw_instead(pool, drawn, key="run", ordinal=ordinal)
    assert len(set(spares)) == len(spares)
    assert set(spares) <= set(range(pool)) - set(drawn)
    assert len(spares) >= min(pool - len(drawn), SPARES)
