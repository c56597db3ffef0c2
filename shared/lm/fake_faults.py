"""What goes wrong with some of a fake LM's answers: a share of the calls for each kind of harm, by a seed."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.lm.fake_http import Delivery
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.protocol import FinishReason


@dataclass(frozen=True, slots=True)
class FakeFault:
    """An answer that goes wrong: any status and body, delivered whole, by half, or not at all."""

    status: int = 200
    body: bytes = b""
    delivery: Delivery = Delivery.WHOLE
    content_type: str = "application/json"


Responder = Callable[[FakeRequest], FakeAnswer | FakeFault]


class Harm(StrEnum):
    """What may become of a call."""

    OVERLOADED = "429"
    UNAVAILABLE = "503"
    BROKEN = "500"
    REFUSED = "422"
    DROPPED = "dropped"
    HALF = "half"
    NONSENSE = "nonsense"
    TRUNCATED = "truncated"  # the LM stops in the middle, as at its limit of tokens
    HANG = "hang"


Rates = Mapping[Harm, float]
"""The share of all calls, 0 to 1, that come to each harm; together 1 at most."""

_FAULTS = {
    Harm.OVERLOADED: FakeFault(429, b'{"error": "Model is overloaded", "error_type": "overloaded"}'),
    Harm.UNAVAILABLE: FakeFault(503, b"<html>no upstream</html>", content_type="text/html"),
    Harm.BROKEN: FakeFault(500, b'{"error": "CUDA error: device-side assert triggered"}'),
    Harm.REFUSED: FakeFault(422, b'{"error": "Input validation error", "error_type": "validation"}'),
    Harm.DROPPED: FakeFault(delivery=Delivery.DROPPED),
    Harm.HALF: FakeFault(body=b'{"generated_text": "an answer of which half will come"}', delivery=Delivery.HALF),
    Harm.NONSENSE: FakeFault(body=b'[{"colourless": "green ideas"}, 42'),
    Harm.HANG: FakeFault(delivery=Delivery.HUNG),
}


class Faulty:
    """A responder some of whose answers go wrong. Which, depends on the seed, the request, and how often it came:
    another try of a call may well succeed, and the same tries always come to the same harm."""

    def __init__(self, respond: Responder, rates: Rates, seed: int = 0) -> None:
        self.respond = respond
        self.rates = rates
        self._seed = seed
        self._seen: Counter[bytes] = Counter()

    def __call__(self, request: FakeRequest) -> FakeAnswer | FakeFault:
        """The answer, or what goes wrong with it."""
        harm = self._harm(request)
        if harm is None:
            return self.respond(request)
        if harm is Harm.TRUNCATED:
            return _truncated(self.respond(request))
        return _FAULTS[harm]

    def _harm(self, request: FakeRequest) -> Harm | None:
        name = hashlib.sha256(f"{request.chat}{request.seed}{request.prompt}".encode(errors="replace")).digest()
        self._seen[name] += 1
        luck = random.Random(f"{self._seed} {name.hex()} {self._seen[name]}").random()
        for harm, rate in self.rates.items():
            luck -= rate
            if luck < 0:
                return harm
        return None


def _truncated(answer: FakeAnswer | FakeFault) -> FakeAnswer | FakeFault:
    if isinstance(answer, FakeFault):
        return answer
    return FakeAnswer(answer.text[: len(answer.text) // 2], FinishReason.LENGTH)


def read_rates(given: Mapping[str, float]) -> Rates:
    """The rates that a mapping such as `{"429": 0.1, "hang": 0.05}` stands for; raises ValueError."""
    rates = {Harm(name): float(rate) for name, rate in given.items()}
    if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1 + 1e-9:
        raise ValueError("rates are shares of all calls: each 0 or more, together 1 at most")
    return rates
