from shared.lm.fake_usage import UsageMeter


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_integral_is_the_number_in_flight_times_the_time() -> None:
    clock = Clock()
    meter = UsageMeter(clock)
    for clock.now, happened in [(1.0, meter.began), (3.0, meter.began), (4.0, meter.ended), (9.0, meter.ended)]:
        happened()
    clock.now = 10.0
    usage = meter.usage()
    assert (usage.busy_s, usage.answered, usage.in_flight, usage.clock_s) == (1 * 2 + 2 * 1 + 1 * 5, 2, 0, 10.0)
    assert meter.most_in_flight == 2


def test_two_looks_give_the_mean_between_them() -> None:
    clock = Clock()
    meter = UsageMeter(clock)
    meter.began()
    clock.now = 5.0
    before = meter.usage()
    meter.began()
    clock.now = 6.0
    meter.ended()
    clock.now = 8.0
    assert meter.usage().mean_in_flight(before) == (2 * 1 + 1 * 2) / 3
