"""The windows of calls in a simulation: what workers may send to the servers of a pool, and how they share it."""

from collections.abc import Mapping, Sequence, Sized
from typing import Protocol

from shared.method.division import divide_by_stage, due
from shared.method.simulation.clock import Clock
from shared.method.simulation.scenario import Pool
from shared.method.tasks import LM_STAGES, Stage


class Sender(Protocol):
    """A stream of calls, as far as a window needs to know it."""

    @property
    def stage(self) -> Stage:
        """Which step its calls are for."""

    @property
    def backlog(self) -> Sized:
        """What nobody has claimed of its queue."""

    @property
    def held(self) -> int:
        """How much it has claimed."""

    @property
    def waiting(self) -> bool:
        """Whether it has a call to send."""

    def send_next(self) -> None:
        """Send it."""

    def wake(self) -> None:
        """Claim more, if that is worth it."""


class Servers:
    """The servers of a pool: how many calls they have now, and how busy they were."""

    def __init__(self, clock: Clock, pool: Pool) -> None:
        self.pool = pool
        self.in_flight = 0
        self.call_s = 0.0  # the sum over time of the calls in flight
        self.crowd_s = 0.0  # and of their square, which tells how many a call saw beside it
        self.busy_s = 0.0  # for how long there were any
        self._clock = clock
        self._since = 0.0
        self._answered_until = 0.0

    def begin(self, at: float, latency_s: float) -> float:
        """A call is sent at a time; returns when it is answered."""
        self._pass_time()
        self.in_flight += 1
        if self.pool.calls_per_s is None:
            return at + latency_s
        self._answered_until = max(self._answered_until, at) + 1 / self.pool.calls_per_s
        return max(at + latency_s, self._answered_until)

    def end(self) -> None:
        """A call is over."""
        self._pass_time()
        self.in_flight -= 1

    def _pass_time(self) -> None:
        passed = self._clock.now - self._since
        self._since = self._clock.now
        self.call_s += self.in_flight * passed
        self.crowd_s += self.in_flight**2 * passed
        self.busy_s += passed if self.in_flight else 0.0


class Window:
    """What one worker may have under way of one model."""

    def __init__(self, name: str, servers: Servers, limit: int) -> None:
        self.name = name
        self.servers = servers
        self.limit = limit
        self.slots = self.reserved = self.in_flight = 0
        self.wanted = (0,) * len(LM_STAGES)
        self.latency_s = 0.0
        self._streams: list[Sender] = []

    @property
    def free(self) -> int:
        """How many more calls may be sent now."""
        return max(0, self.slots - self.in_flight)

    @property
    def calls_per_s(self) -> float:
        """How many calls come back in a second; 0 while that is unknown."""
        return self.slots / self.latency_s if self.latency_s else 0.0

    def took(self, latency_s: float) -> None:
        """A call took this long."""
        self.latency_s += (latency_s - self.latency_s) / (16 if self.latency_s else 1)

    def join(self, stream: Sender) -> None:
        """Have a stream's calls sent, those nearest to an example first."""
        self._streams.append(stream)
        self._streams.sort(key=lambda each: LM_STAGES.index(each.stage), reverse=True)

    def fill(self) -> None:
        """Send calls while there is room."""
        while self.free:
            stream = next((each for each in self._streams if each.waiting), None)
            if stream is None:
                return self.wake()
            self.in_flight += 1
            stream.send_next()

    def wake(self) -> None:
        """Have its streams look for work."""
        for each in self._streams:
            each.wake()

    def look(self) -> None:
        """See how many calls it has use for, by stage."""
        wanted = dict.fromkeys(LM_STAGES, 0)
        for each in self._streams:
            wanted[each.stage] += each.held + min(len(each.backlog), self.limit)
        self.wanted = tuple(min(count, self.limit) for count in wanted.values())


class Agreement:
    """How the windows of a pool agree on their shares, each in its turn (as `shared.store.shares` has it)."""

    def __init__(self, size: int, windows: Sequence[Window], renewals: int = 1) -> None:
        """Each renewal here stands for so many of the workers' own."""
        self._size = size
        self._renewals = renewals
        self._windows = windows
        self._models: dict[str, dict[str, Window]] = {}
        for number, window in enumerate(windows):
            self._models.setdefault(window.name, {})[str(number)] = window

    @property
    def alone(self) -> bool:
        """Whether there is nobody to agree with."""
        return len(self._windows) == 1

    def renew(self) -> None:
        """Let each renew its share."""
        for fellows in self._models.values():
            for key, window in fellows.items():
                before = window.slots
                window.look()
                self._renew(key, window, fellows)
                if window.slots != before:
                    window.fill()
                    window.wake()

    def _renew(self, key: str, window: Window, fellows: Mapping[str, Window]) -> None:
        holding, allotted = max(window.slots, window.in_flight), self._allotted(window)
        slots = due(key, fellows, allotted=allotted, share=window.slots, renewals=self._renewals)
        of_fellows = sum(each.reserved for each in fellows.values()) - window.reserved
        reserved_by_others = sum(each.reserved for each in self._windows) - window.reserved
        free = min(self._size - reserved_by_others, window.limit - of_fellows)
        window.reserved = max(holding, min(slots, free))
        window.slots = min(slots, window.reserved)

    def _allotted(self, window: Window) -> int:
        """How many slots are due to a window's model: the models of a pool share alike."""
        wanted = {
            name: min(window.limit, sum(sum(each.wanted) for each in fellows.values()))
            for name, fellows in self._models.items()
        }
        if len(wanted) == 1:
            return min(self._size, wanted[window.name])
        return divide_by_stage(self._size, {name: [count] for name, count in wanted.items()})[window.name]
