"""The root of every error that speaks to a person.

An error's docstring is its message: a format string over the plain values it was raised with.
"""

from typing import ClassVar


class EnsembleInstructError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = 1

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(" ".join((type(self).__doc__ or "").split()).format(**values))


class UserError(EnsembleInstructError):
    """The input is wrong."""

    exit_code = 2


class WorldError(EnsembleInstructError):
    """Something outside this program is not as it should be."""
