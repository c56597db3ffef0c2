"""How long the explorer's pages take on a large run, over HTTP, by a login that may only read the lineage."""

import argparse
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from benchmarks.lineage import fill
from services.explorer.app import application
from services.explorer.reading import reading_engine
from services.local.postgres import Postgres
from shared.store.roles import Role, create_login
from shared.store.session import make_engine
from shared.store.views.records import VIEWS
from tests.integration.explorer.browsing import Site, a_site

PASSWORD = "correct-horse-battery"  # noqa: S105 - of a database that goes with the benchmark
RUN = "/runs/demo-1"
EXAMPLES = f"{RUN}/examples"
PAGES = {
    "all runs": "/",
    "the run": RUN,
    "its examples": EXAMPLES,
    "… in the middle": f"{EXAMPLES}?after=input_output:150000",
    "… the last, backwards": f"{EXAMPLES}?before=output_only:299999",
    "… of a voice": f"{EXAMPLES}?voice=instance",
    "… of a voice that never won": f"{EXAMPLES}?voice=zephyr",
    "… with words that all have": f"{EXAMPLES}?q=matters",
    "… with words that one has": f"{EXAMPLES}?q=number+299991",
    "… with words that none has": f"{EXAMPLES}?q=nothing+of+this",
    "… retracted": f"{EXAMPLES}?kept=retracted",
    "its rejections": f"{RUN}/rejections",
    "… instructions": f"{RUN}/rejections?kind=instruction&reason=not_novel",
    "… instances": f"{RUN}/rejections?kind=instance&reason=empty_input",
    "… candidates": f"{RUN}/rejections?kind=candidate&reason=refused_input",
    "… verdicts": f"{RUN}/rejections?kind=verdict&reason=disagreement",
    "its agreement": f"{RUN}/agreement",
    "… as a picture": f"{RUN}/agreement.svg",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A page: the quickest of three answers in ms, and its size in KB."""

    name: str
    ms: float
    kilobytes: float


def show(site: Site, name: str, path: str) -> Shown:
    """Ask for a page three times."""
    best, size = float("inf"), 0
    for _ in range(3):
        began = time.perf_counter()
        page = site.get(path)
        best = min(best, time.perf_counter() - began)
        assert page.status == 200, page.text
        size = len(page.body.encode())
    return Shown(name, round(best * 1000, 1), round(size / 1000, 1))


def records(site: Site) -> dict[str, str]:
    """A record of each kind, all of them in the lineage of the last example."""
    listed = re.findall(r"/examples/[0-9a-f-]{36}", site.get(PAGES["… the last, backwards"]).body)
    found = {"example": listed[-1]}
    for kind in VIEWS.keys() - {"example", "origin", "origin_file"}:  # nothing there was imported
        first = re.search(rf"/records/{kind}/[0-9a-f-]{{36}}", site.get(listed[-1]).body)
        assert first
        found[kind.replace("_", " ")] = first[0]
    return dict(sorted(found.items()))


def main() -> None:
    """Fill a database of its own, ask for every sort of page, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder), fast=True) as server:
        fill(server.url, given.examples)
        owner = make_engine(server.url)
        create_login(owner, "reader", Role.READER, PASSWORD)
        owner.dispose()
        url = make_url(server.url).set(username="reader", password=PASSWORD)
        engine = reading_engine(url.render_as_string(hide_password=False))
        with a_site(application(engine)) as site:
            for name, path in {**PAGES, **records(site)}.items():
                shown = show(site, name, path)
                print(f"{shown.ms:8.1f} ms {shown.kilobytes:7.1f} KB  {shown.name}", flush=True)
        engine.dispose()


if __name__ == "__main__":
    main()
