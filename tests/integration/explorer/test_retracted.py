"""What is retracted is marked wherever it is shown, with the reason."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from services.explorer.app import application
from services.explorer.reading import reading_engine
from services.local.postgres import Postgres
from shared.store.retractions import retract
from shared.store.roots import find_roots
from shared.store.session import make_engine, make_sessions
from shared.store.tables.retractions import RootKind
from tests.integration.admin.conftest import clone
from tests.integration.explorer.browsing import Page, Site, a_site
from tests.integration.explorer.conftest import MARKUP, Shown


def closed(postgres: Postgres, name: str) -> str:
    """A database without connections: only then it can be copied."""
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(ended, [name])
    return name


@pytest.fixture(scope="module")
def changed(shown: Shown, postgres: Postgres) -> Shown:
    """A copy in which one example's instruction is retracted."""
    own = clone(postgres, closed(postgres, shown.owner.rpartition("/")[2]))
    engine = make_engine(own)
    with make_sessions(engine)() as session:
        ((instruction,),) = shown.rows(
            "SELECT instruction_id FROM lineage.examples WHERE id = %(id)s", id=shown.odd["long"]
        )
        retract(session, find_roots(session, RootKind.INSTRUCTION, str(instruction)), str(instruction), MARKUP, "me")
    engine.dispose()
    return replace(shown, owner=own, reader=f"{shown.reader.rpartition('/')[0]}/{own.rpartition('/')[2]}")


@pytest.fixture(scope="module")
def site(changed: Shown) -> Iterator[Site]:
    """The pages of that copy."""
    engine = reading_engine(changed.reader)
    with a_site(application(engine)) as pages:
        yield pages
    engine.dispose()


def listed(page: Page) -> set[str]:
    """The examples that a page leads to."""
    return {each["href"].rpartition("/")[2] for each in page.all("a") if each["href"].startswith("/examples/")}


def test_retracted_examples_are_marked_and_can_be_asked_for(site: Site, changed: Shown) -> None:
    retracted = changed.rows("SELECT id FROM lineage.examples WHERE run = 'small-1' AND judgement = 0 AND retracted")
    page = site.get("/runs/small-1/examples?kept=retracted")
    assert listed(page) == {str(id) for (id,) in retracted} >= {str(changed.odd["long"])}
    assert page.within("td").count("retracted") == len(retracted)


def test_all_that_came_of_what_is_retracted_says_why(site: Site, changed: Shown) -> None:
    marked = changed.rows("SELECT kind, record_id FROM lineage.retracted_records WHERE kind <> 'example'")
    assert {kind for kind, _ in marked} >= {"instruction", "instance", "candidate", "verdict"}
    told = f"Retracted by retraction 1: {' '.join(MARKUP.split())}"
    for path in (f"/examples/{changed.odd['long']}", *(f"/records/{kind}/{id}" for kind, id in marked)):
        page = site.get(path)
        assert page.status == 200
        assert "retracted" in page.within("h1")
        assert told in page.text
        assert not page.all("script")


def test_the_tree_marks_what_is_retracted_above_an_example(site: Site, changed: Shown) -> None:
    tree = site.get(f"/examples/{changed.odd['long']}").within("ul")
    assert tree.count(" retracted") >= 4  # the example, its verdict, the outputs, the instruction
