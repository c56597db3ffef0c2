"""How a call was to be decoded, as a row keeps it, and the call again from such a row."""

from collections.abc import Mapping
from functools import lru_cache

from shared.errors import WorldError
from shared.lm.protocol import Call
from shared.method.decoding import Decoding

_NAMES = frozenset({*Decoding.model_fields, "stop", "chat"})


class StrangeParametersError(WorldError):
    """The call was stored with other parameters than this program sends ({strange}), so it can't be sent again as it
    was."""


@lru_cache(maxsize=256)
def to_row(decoding: Decoding, stop: tuple[str, ...], chat: bool) -> dict[str, object]:
    """All that a call sends beside its prompt and its seed."""
    return {**decoding.model_dump(), "stop": stop, "chat": chat}


def from_row(prompt: str, parameters: Mapping[str, object], seed: int | None) -> Call:
    """The call that was sent. Raises `StrangeParametersError`."""
    strange = sorted(_NAMES ^ parameters.keys())
    stop = parameters.get("stop")
    if strange or not isinstance(stop, list | tuple):
        raise StrangeParametersError(strange=", ".join(strange or ["stop"]))
    decoding = Decoding.model_validate({name: parameters[name] for name in Decoding.model_fields})
    return Call(prompt, decoding, tuple(stop), seed, chat=parameters["chat"] is True)
