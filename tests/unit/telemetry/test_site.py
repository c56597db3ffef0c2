"""What a process tells over HTTP."""

import http.client
import json
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter

from shared.settings import Address
from shared.telemetry.site import HealthAddressTakenError, HealthSite

Wrong = list[str]


@contextmanager
def a_site(
    alive: Callable[[], Wrong] = list, ready: Callable[[], Wrong] = list, metrics: CollectorRegistry | None = None
) -> Iterator[HealthSite]:
    site = HealthSite(Address("127.0.0.1", 0), alive=alive, ready=ready, metrics=metrics)
    try:
        yield site
    finally:
        site.close()


def get(site: HealthSite, path: str, **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(*site.address, timeout=20)
    connection.request("GET", path, headers=headers)
    with connection.getresponse() as answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def test_all_is_well() -> None:
    with a_site() as site:
        for path in ("/healthz", "/readyz", "/readyz?verbose=1"):
            assert get(site, path) == (200, "text/plain; charset=utf-8", "ok\n")


def test_what_is_wrong_is_told_line_by_line() -> None:
    with a_site(ready=lambda: ["Postgres is away", "so is the broker"]) as site:
        assert get(site, "/healthz")[0] == 200
        assert get(site, "/readyz")[::2] == (503, "Postgres is away\nso is the broker\n")


def test_a_check_that_breaks_says_no_more_than_that(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Wrong:
        raise RuntimeError("a secret")

    with a_site(alive=broken) as site:
        assert get(site, "/healthz")[::2] == (500, "see the log\n")
        assert get(site, "/readyz")[0] == 200


def test_metrics_are_told_as_prometheus_asks_for_them() -> None:
    registry = CollectorRegistry()
    Counter("things", "All there were", registry=registry).inc(3)
    with a_site(metrics=registry) as site:
        status, kind, text = get(site, "/metrics")
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert "things_total 3.0\n" in text
        status, kind, text = get(site, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
        assert text.endswith("# EOF\n")


def test_there_is_nothing_else() -> None:
    with a_site() as site:
        assert get(site, "/")[0] == 404
        assert get(site, "/metrics/../healthz")[0] == 404
        connection = http.client.HTTPConnection(*site.address, timeout=20)
        connection.request("POST", "/healthz", body=json.dumps({}))
        assert connection.getresponse().status == 501


def test_a_client_that_says_nothing_keeps_nobody_waiting() -> None:
    with a_site() as site, socket.create_connection(site.address):
        assert get(site, "/healthz")[0] == 200


def test_it_answers_on_ipv6() -> None:
    site = HealthSite(Address("::1", 0), alive=list, ready=list)
    try:
        with urllib.request.urlopen(f"http://{site.address}/healthz", timeout=20) as answer:
            assert answer.status == 200
    finally:
        site.close()


def test_an_address_that_is_taken_is_refused_in_words() -> None:
    with a_site() as site, pytest.raises(HealthAddressTakenError, match=f"HEALTH_ADDRESS {site.address} can't be"):
        HealthSite(site.address, alive=list, ready=list)


def test_a_closed_site_gives_its_address_back() -> None:
    with a_site() as site:
        address = site.address
    again = HealthSite(address, alive=list, ready=list)
    again.close()
