"""What a person is told when there is nothing to show, or no database to show it from."""

import re
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.explorer import reading
from services.explorer.app import application
from services.explorer.reading import reading_engine
from services.local.postgres import Postgres
from shared.store.roles import Role, create_login
from shared.store.session import make_engine, make_sessions
from tests.integration.explorer.browsing import Site, a_site
from tests.integration.explorer.conftest import PASSWORD, Shown, as_login

NOBODY = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def pages(shown: Shown) -> Iterator[Site]:
    """The pages with connections of the test's own, which it may harm."""
    yield from pages_of(shown.reader)


def pages_of(url: str) -> Iterator[Site]:
    """The pages of a database."""
    engine = reading_engine(url)
    with a_site(application(engine)) as site:
        yield site
    engine.dispose()


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "The address is not one of the explorer's"),
        ("/runs/none", 404, "There is no run 'none'"),
        ("/runs/%3Cb%3E", 404, "There is no run '<b>'"),
        ("/runs/small-1?judgement=7", 404, "Run 'small-1' has no judgement 7; it has 0, 1"),
        ("/runs/small-1?judgement=-1", 400, "'-1' is no judgement: write a whole number from 0"),
        ("/runs/small-1?judgement=9999999999", 400, "is no judgement"),
        ("/runs/small-1?judgement=%C2%B2", 400, "is no judgement"),
        ("/runs/small-1/examples?after=-1", 400, "'-1' is no after: write a task type, a colon and a position"),
        ("/runs/small-1/examples?after=output_only:-1", 400, "'-1' is no after"),
        ("/runs/small-1/examples?before=output_only:99999999999999999999", 400, "is no before"),
        ("/runs/small-1/examples?type=poem", 400, "'poem' is no type: write input_output or output_only"),
        ("/runs/small-1/examples?kept=never", 400, "'never' is no kept"),
        (f"/runs/small-1/examples?q={'x' * 201}", 400, "write 200 characters at most"),
        ("/runs/small-1/examples?q=a%00b", 400, "is no part of an address"),
        ("/runs/a%00b", 400, "is no part of an address"),
        ("/runs/small-1/rejections?kind=poem&reason=x", 400, "'poem' is no kind"),
        ("/runs/small-1/rejections?kind=verdict&reason=x&after=y", 400, "'y' is no after"),
        ("/?before=yesterday", 400, "'yesterday' is no before"),
        (f"/?before=2026-01-01T12:00:00/{NOBODY}", 400, "is no before: write a time with its zone"),
        ("/examples/12", 400, "'12' is no id"),
        ("/examples/11111111", 404, "There is no record '11111111'"),
        ("/records/seed_task/11111111", 404, "There is no record '11111111'"),
        (f"/examples/{NOBODY}", 404, f"There is no example {NOBODY}"),
        (f"/records/poem/{NOBODY}", 404, "There are no records of kind 'poem'"),
        (f"/records/seed_task/{NOBODY}", 404, f"There is no seed task {NOBODY}"),
        ("/records?id=zzz", 404, "There is no record 'zzz'"),
        ("/records", 404, "There is no record ''"),
    ],
)
def test_what_can_not_be_shown_is_told(site: Site, path: str, status: int, told: str) -> None:
    page = site.get(path)
    assert page.status == status
    assert told in page.text
    assert page.all("b", "script") == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_there_is_nothing_but_reading(site: Site, method: str) -> None:
    page = site.get("/runs/small-1", method)
    assert page.status == 405
    assert "changes nothing" in page.text


def test_a_head_is_a_page_without_its_body(site: Site) -> None:
    page = site.get("/runs/small-1", "HEAD")
    assert (page.status, page.body) == (200, "")
    assert int(page.headers["content-length"]) > 1000


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM examples", "read-only transaction"),
        ("SELECT * FROM examples", "permission denied for table examples"),
    ],
)
def test_connections_do_what_a_reader_may_whoever_they_belong_to(shown: Shown, statement: str, told: str) -> None:
    engine = reading_engine(shown.owner)
    with make_sessions(engine)() as session:
        session.rollback()
        with pytest.raises(DBAPIError, match=told):
            session.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8000", "localhost.evil.com", "[x]:1", ""])
def test_who_asks_by_an_unknown_name_is_told_nothing(site: Site, host: str) -> None:
    page = site.get("/", Host=host)
    assert page.status == 421
    assert "small-1" not in page.body


@pytest.mark.parametrize(
    "host", ["LOCALHOST:8000", "10.1.2.3", "[::1]:8000", "runs.example.org", "Runs.Example.Org:443"]
)
def test_addresses_and_known_names_are_answered(site: Site, host: str) -> None:
    assert site.get("/", Host=host).status == 200


def test_while_the_database_is_away_pages_say_so_and_come_back(pages: Site, shown: Shown, postgres: Postgres) -> None:
    assert pages.get("/").status == 200
    name = sql.Identifier(shown.owner.rpartition("/")[2])
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name.as_string()[1:-1]]
        )
        for path in ("/", "/runs/small-1", "/readyz"):
            page = pages.get(path)
            assert page.status == 503
            assert "Postgres is away: " in page.body
        assert pages.get("/").headers["retry-after"] == "5"
        assert pages.get("/healthz").body == "ok\n"
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    assert pages.get("/").status == 200
    assert pages.get("/readyz").body == "ok\n"


def test_a_question_that_takes_too_long_is_given_up(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reading.SETTINGS, "statement_timeout", 200)
    with psycopg.connect(shown.owner) as connection:
        connection.execute("LOCK TABLE runs")
        (page,) = [site.get("/") for site in pages_of(shown.reader)]
    assert page.status == 503
    assert "Postgres had no answer after 5 seconds" in page.text


def test_a_database_that_is_not_migrated_is_told_of(empty_database_url: str) -> None:
    for site in pages_of(empty_database_url):
        for path in ("/", "/readyz"):
            page = site.get(path)
            assert page.status == 503
            assert "ensemble-instruct db upgrade" in page.body


def test_a_login_that_may_not_read_is_told_which_may(shown: Shown, postgres: Postgres) -> None:
    name = f"scaler_{uuid.uuid4().hex[:8]}"
    engine = make_engine(shown.owner)
    create_login(engine, name, Role.SCALER, PASSWORD)
    engine.dispose()
    try:
        for site in pages_of(as_login(shown.owner, name)):
            page = site.get("/")
            assert page.status == 503
            assert "ensemble-instruct db create-user NAME --role reader" in page.text
            assert PASSWORD not in page.body
    finally:
        with psycopg.connect(shown.owner, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_style_and_picture_have_addresses_that_change_with_them(site: Site) -> None:
    links = [each["href"] for each in site.get("/").all("link")]
    assert [re.sub(r"\?[0-9a-f]{12}$", "?", link) for link in links] == ["/explorer.svg?", "/explorer.css?"]
    for link in links:
        assert "immutable" in site.get(link).headers["cache-control"]
    assert site.get("/").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("query", ["name=x", "name=explorer.svg"])
def test_style_is_style_whatever_else_is_asked(site: Site, query: str) -> None:
    page = site.get(f"/explorer.css?{query}")
    assert (page.status, page.headers["content-type"]) == (200, "text/css; charset=utf-8")
