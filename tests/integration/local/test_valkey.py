"""The embedded Valkey answers those who know its password."""

import stat
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.local.valkey import Valkey


def test_it_answers(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert client.ping()


def test_it_asks_for_the_password(valkey: Valkey) -> None:
    with redis.Redis(port=valkey.port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_its_password_is_on_no_command_line(valkey: Valkey) -> None:
    assert valkey.child
    password = valkey.url.split("@")[0].rsplit(":", 1)[1]
    assert password not in Path(f"/proc/{valkey.child.pid}/cmdline").read_text()
    assert stat.S_IMODE((valkey.folder / "valkey.conf").stat().st_mode) == 0o600


def test_another_object_over_its_folder_has_its_address(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server:
        before = server.url
    with Valkey(tmp_path) as server:
        assert server.url == before
        (tmp_path / "port").write_text("no number")
    with Valkey(tmp_path) as server, Valkey(tmp_path / "other") as other:
        assert server.port != other.port
        (tmp_path / "port").write_text(str(other.port))
        server.stop()
        with Valkey(tmp_path) as elsewhere:
            assert elsewhere.port != other.port


def test_killed_and_started_again_it_has_its_address_and_no_data(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        before = server.url
        client.set("word", "kept")
        assert server.child
        server.child.kill()
        server.start()
        assert server.url == before
        assert client.get("word") is None
