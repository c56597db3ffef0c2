"""A database whose examples say whether they are retracted."""

from collections.abc import Iterator

import psycopg
import pytest

from services.explorer.app import application
from services.explorer.reading import reading_engine
from services.local.postgres import Postgres
from tests.integration.admin.conftest import clone
from tests.integration.explorer.browsing import Site, a_site
from tests.integration.explorer.conftest import Shown


def terminate(postgres: Postgres, shown: Shown) -> None:
    """End all connections to a database: only then it can be copied."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [shown.owner.rpartition("/")[2]],
        )


@pytest.fixture
def site(shown: Shown, postgres: Postgres) -> Iterator[Site]:
    """Pages of a copy in which one example is retracted."""
    terminate(postgres, shown)
    url = clone(postgres, shown.owner.rpartition("/")[2])
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_get_viewdef('lineage.examples')").fetchone()
        assert row
        view = str(row[0]).rstrip("; \n")
        if ".retracted" not in view:
            connection.execute(
                f"CREATE OR REPLACE VIEW lineage.examples AS SELECT *, id = '{shown.odd['long']}' AS retracted "  # noqa: S608
                f"FROM ({view}) e"
            )
    engine = reading_engine(url)
    with a_site(application(engine)) as pages:
        yield pages
    engine.dispose()


def test_retracted_examples_are_marked_and_can_be_asked_for(site: Site, shown: Shown) -> None:
    page = site.get("/runs/small-1/examples?kept=retracted")
    listed = [each["href"] for each in page.all("a") if each["href"].startswith("/examples/")]
    assert listed == [f"/examples/{shown.odd['long']}"]
    assert "retracted" in site.get(listed[0]).within("h1")
    assert site.get("/runs/small-1/examples").text.count(" retracted") == 2  # the choice, and the one that is
