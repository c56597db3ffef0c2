"""Reading what a server sent, trusting none of it. Every function raises `ValueError` on a surprise."""

from shared.lm.protocol import FinishReason

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
}
_MOST = 2**31 - 1  # what a Postgres integer holds


def dig(data: object, *path: str | int) -> object:
    """The value at `path` in decoded JSON."""
    for depth, step in enumerate(path, 1):
        try:
            data = _step(data, step)
        except (LookupError, TypeError):
            raise ValueError(f"its JSON has no {'.'.join(map(str, path[:depth]))}") from None
    return data


def dig_or_none(data: object, *path: str | int) -> object:
    """The value at `path`, or `None` where there is no such path."""
    try:
        return dig(data, *path)
    except ValueError:
        return None


def text(value: object) -> str:
    """A text that Postgres can store: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__} stands where a text should be")
    if "\x00" in value or not _encodes(value):
        raise ValueError("its text holds a NUL or half of a surrogate pair")
    return value


def text_or_none(value: object) -> str | None:
    """A text, or `None` where the server said `null`."""
    return None if value is None else text(value)


def count_or_none(value: object) -> int | None:
    """A number of tokens, or `None` where the server said `null`."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise ValueError(f"a {type(value).__name__} stands where a number of tokens should be")
    return value


def finish_reason(value: object) -> FinishReason:
    """Why the LM stopped, in either protocol's words."""
    if not isinstance(value, str) or value not in _FINISH_REASONS:
        raise ValueError(f"it finished for no reason that we know: {value!r:.40}")
    return _FINISH_REASONS[value]


def cut(written: str, stops: tuple[str, ...]) -> str:
    """What stands before the first stop sequence."""
    ends = [at for stop in stops if (at := written.find(stop)) >= 0]
    return written[: min(ends)] if ends else written


def _step(data: object, step: str | int) -> object:
    if isinstance(data, dict):
        return data[step]
    if isinstance(data, list) and isinstance(step, int):
        return data[step]
    raise TypeError


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
