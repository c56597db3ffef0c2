"""A thing that must hold of a run, as a query for the rows that break it."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import text
from sqlalchemy.orm import Session

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: how often `holds` is broken, and some of the things that break it."""

    name: str
    holds: str
    violations: int
    shown: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, holds: str, broken: Iterable[str]) -> "Finding":
        """The finding that all of these are broken."""
        rest = iter(broken)
        shown = tuple(islice(rest, SHOWN))
        return cls(name, holds, len(shown) + sum(1 for _ in rest), shown)


@dataclass(frozen=True, slots=True)
class Check:
    """A query whose rows, of one column `id`, break what holds. It may name the parameters that it is run with."""

    name: str
    holds: str
    query: str

    def run(self, session: Session, parameters: dict[str, object]) -> Finding:
        """Look."""
        counted = (
            f"WITH broken (id) AS MATERIALIZED ({self.query}) SELECT (SELECT count(*) FROM broken), "  # noqa: S608 - ours
            f"ARRAY(SELECT CAST(id AS text) FROM broken ORDER BY 1 LIMIT {SHOWN})"
        )
        violations, shown = session.execute(text(counted), parameters).one()
        return Finding(self.name, self.holds, violations, tuple(shown))
