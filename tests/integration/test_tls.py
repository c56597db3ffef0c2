"""Postgres and the broker over TLS: whose certificate is not known is not talked to."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from services.local.postgres import Postgres
from services.local.valkey import Valkey
from shared.queue.app import make_app
from shared.queue.hints import BrokerUnreachableError, ping
from shared.store.session import DatabaseUnreachableError, make_engine
from shared.store.session import ping as ping_postgres
from tests.integration.tls import HOST, behind_tls


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """Who signs the servers' certificates, and the file that says so."""
    signer, file = trustme.CA(), tmp_path_factory.mktemp("tls") / "ca.pem"
    signer.cert_pem.write_to_path(str(file))
    return signer, file


@pytest.fixture
def context(authority: tuple[trustme.CA, Path]) -> ssl.SSLContext:
    """A server's side of TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert(HOST).configure_cert(made)
    made.set_alpn_protocols(["postgresql"])
    return made


@pytest.fixture
def broker_url(valkey: Valkey, context: ssl.SSLContext) -> Iterator[str]:
    """The broker's address over TLS."""
    with behind_tls(valkey.port, context) as port:
        yield valkey.url.replace("redis://", "rediss://").replace(f":{valkey.port}/", f":{port}/")


def test_a_broker_whose_certificate_is_known_is_reached(broker_url: str, authority: tuple[trustme.CA, Path]) -> None:
    ping(make_app(f"{broker_url}?ssl_ca_certs={authority[1]}"))


@pytest.mark.parametrize("query", ["", "?ssl_ca_certs={other}"])
def test_a_broker_whose_certificate_is_not_known_is_not(broker_url: str, query: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(BrokerUnreachableError, match="certificate verify failed"):
        ping(make_app(broker_url + query.format(other=other)))


def test_who_says_so_takes_any_certificate(broker_url: str) -> None:
    ping(make_app(f"{broker_url}?ssl_cert_reqs=none"))


@pytest.mark.parametrize("known", [True, False])
def test_postgres_is_reached_if_its_certificate_is_known(
    postgres: Postgres, database_url: str, context: ssl.SSLContext, authority: tuple[trustme.CA, Path],
    tmp_path: Path, known: bool,
) -> None:  # fmt: skip
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with behind_tls(postgres.port, context) as port:
        secured = f"sslmode=verify-full&sslnegotiation=direct&sslrootcert={authority[1] if known else other}"
        engine = make_engine(database_url.replace(f":{postgres.port}/", f":{port}/") + f"?{secured}")
        try:
            if known:
                ping_postgres(engine)
            else:
                with pytest.raises(DatabaseUnreachableError, match="certificate verify failed"):
                    ping_postgres(engine)
        finally:
            engine.dispose()
