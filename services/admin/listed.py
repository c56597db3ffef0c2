"""Errors that list what they found: a headline, then a line for each fault."""

from collections.abc import Sequence

from shared.errors import EnsembleInstructError, UserError, WorldError

MOST = 10


class Listed(EnsembleInstructError):
    """Several things are wrong:"""

    def __init__(self, faults: Sequence[object], **values: object) -> None:
        super().__init__(**values)
        self.faults = faults

    def __str__(self) -> str:
        """The headline and the first faults."""
        lines = [f"  {fault}" for fault in self.faults[:MOST]]
        if len(self.faults) > MOST:
            lines.append(f"  … and {len(self.faults) - MOST} more")
        return "\n".join([super().__str__(), *lines])


class SeedsRefusedError(Listed, UserError):
    """seeds: {path} can't be used; `ensemble-instruct validate-seeds {path}` shows all that is wrong:"""


class TemplatesRefusedError(Listed, UserError):
    """The job names prompt templates that don't fit:"""


class RetractedPartsError(Listed, UserError):
    """The job uses what is retracted; name something else, or undo it with `ensemble-instruct unretract ID`:"""


class RetractedFilesError(Listed, UserError):
    """What is to be imported was retracted; leave it out, or undo that with `ensemble-instruct unretract ID`:"""


class ModelsSilentError(Listed, WorldError):
    """A model did not answer; start it, mend its `endpoints`, or leave the question out with --no-check:"""


class ModelsDifferError(Listed, UserError):
    """A model is not what the job says; mend the job or the server:"""
