"""A server's own key, which must never show up in a row, a log or a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key of one server; an empty `value` means it wants none. `fault` says why there is no good one."""

    value: str = field(default="", repr=False)
    fault: str | None = None

    @classmethod
    def from_environment(cls, variable: str | None, environ: Mapping[str, str]) -> "ApiKey":
        """The key that `variable` holds. White space around it, as files leave it, is taken off."""
        if variable is None:
            return cls()
        value = environ.get(variable, "").strip()
        if not value:
            return cls(fault=f"the environment variable {variable}, which should hold its key, is not set")
        if not (value.isascii() and value.isprintable()):
            return cls(fault=f"the environment variable {variable} holds characters that no key may have")
        return cls(value)

    def hide(self, text: str) -> str:
        """`text` with stars in place of the key, should a server have echoed it."""
        return text.replace(self.value, "***") if self.value else text
