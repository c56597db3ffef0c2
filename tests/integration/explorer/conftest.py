"""A run that has ended, was decided anew, and holds odd texts; one that goes on; and the pages that show them."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url
from sqlalchemy.orm import Session

from services.explorer.app import application
from services.explorer.reading import reading_engine
from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.dataset.imported_files import look_through
from shared.dataset.importing import Source, bring_in, import_job
from shared.dataset.rejudging import rejudge
from shared.job import OWN_VOICE, ConsensusStage
from shared.lm.fake import FakeServer
from shared.lm.fake_faults import FakeFault
from shared.lm.fake_protocols import FakeAnswer, FakeRequest
from shared.lm.fake_responder import respond as plausible
from shared.method.consensus import Rule
from shared.store.judgements import find_judgement, terms_of
from shared.store.roles import Role, create_login
from shared.store.session import make_engine
from tests.integration.explorer.browsing import Site, a_site
from tests.integration.workers.driving import a_worker, begin, drive, small_job

PASSWORD = "correct-horse-battery"  # noqa: S105 - of logins that live as long as a test
MARKUP = """<script>alert('1')</script> <b>"bold"</b> & &amp; </pre></details>"""
ARABIC = "اكتب قصة قصيرة عن قطة \N{RIGHT-TO-LEFT OVERRIDE}gnp.exe"
CHOOSY = {"instructions": {"lookahead": 2, "limits": {"min_words": 14}}}  # shows what it made, and leaves much out
LONG = "A long answer, line by line.\n" * 3_600


def reluctant(request: FakeRequest) -> FakeAnswer | FakeFault:
    """Plausible, but now and then a refusal."""
    return FakeFault(422, b'{"error": "no"}') if crc32(request.prompt.encode()) % 4 == 0 else plausible(request)


@dataclass(frozen=True, slots=True)
class Shown:
    """A database whose runs are shown: its owner's address, a reader's, and examples by what is odd in them."""

    owner: str
    reader: str
    odd: dict[str, uuid.UUID]

    def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """What SQL says, to hold a page against."""
        with psycopg.connect(self.reader) as connection:
            return connection.execute(statement, values).fetchall()


@pytest.fixture(scope="package")
def shown(postgres: Postgres, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """`small-1` has ended, and has a judgement by majority; `later-1` has just begun; `elsewhere` was imported.

    For tests that only look.
    """
    name = f"shown_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
        url = postgres.url_of(name)
        with FakeServer(reluctant) as lm, a_worker(url, valkey.url) as runtime:
            run = drive(runtime, begin(runtime, small_job(lm.url, **CHOOSY)))
            begin(runtime, small_job(lm.url, name="later"))
            with runtime.sessions.begin() as session:
                own = terms_of(find_judgement(session, run.id, run.name, 0))
                rejudge(session, run.id, 1, replace(own, rule=Rule.MAJORITY))
                _import_two_files(session, tmp_path_factory.mktemp("imported"))
        odd = _plant_odd_texts(url)
        engine = make_engine(url)
        create_login(engine, name, Role.READER, PASSWORD)
        engine.dispose()
        yield Shown(url, as_login(url, name), odd)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def as_login(url: str, name: str) -> str:
    """The database's address for a login."""
    return make_url(url).set(username=name, password=PASSWORD).render_as_string(hide_password=False)


def _import_two_files(session: Session, folder: Path) -> None:
    """A run whose records were made elsewhere, with odd texts in all that can be said of them."""
    records = [
        {"instruction": "Sort the words.", "input": "b a", "output": MARKUP, "note": MARKUP},
        {"instruction": "Tell a joke.", "output": "No."},
    ]
    sources = []
    for name, voice in (("<b>mine.jsonl", OWN_VOICE), ("theirs.jsonl", "theirs")):
        path = folder / name
        path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
        sources.append(Source(path, look_through(path), voice, MARKUP, "mit"))
    bring_in(session, import_job("elsewhere", sources, ConsensusStage()), sources)


def _plant_odd_texts(url: str) -> dict[str, uuid.UUID]:
    """Texts that LMs might write, in place of what they did write."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        rows = connection.execute(
            "SELECT id, candidate_id, instruction_id FROM lineage.examples WHERE run = 'small-1' AND judgement = 0"
            " ORDER BY position, id"
        ).fetchall()
        odd: dict[str, uuid.UUID] = {}
        for (id, candidate, instruction), (what, content) in zip(
            rows, {"markup": MARKUP, "arabic": ARABIC, "long": LONG}.items(), strict=False
        ):
            connection.execute("UPDATE candidates SET output = %s WHERE id = %s", (content, candidate))
            connection.execute("UPDATE examples SET output = %s WHERE candidate_id = %s", (content, candidate))
            if what != "long":
                connection.execute("UPDATE instructions SET text = %s WHERE id = %s", (content, instruction))
                connection.execute("UPDATE examples SET instruction = %s WHERE id = %s", (content, id))
            odd[what] = id
    return odd


@pytest.fixture(scope="package")
def reader(shown: Shown) -> Iterator[Engine]:
    """Connections of a login that may read the lineage, and nothing else."""
    engine = reading_engine(shown.reader)
    yield engine
    engine.dispose()


@pytest.fixture(scope="package")
def site(reader: Engine) -> Iterator[Site]:
    """The pages of that database."""
    with a_site(application(reader, ["runs.example.org"])) as pages:
        yield pages
