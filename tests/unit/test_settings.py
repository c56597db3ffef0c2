import pytest

from shared.settings import (
    Address,
    BadSettingError,
    BrokerAddressError,
    MissingSettingError,
    Settings,
    secrets,
    settings,
)


@pytest.mark.parametrize("url", ["redis://h", "redis://:p%40ss@h:6379/0", "rediss://user:p@h:1/15", "redis://[::1]:1/"])
def test_addresses_of_a_broker(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert Settings().broker() == url


@pytest.mark.parametrize(
    "url", ["h", "http://h", "redis://", "redis:///0", "redis://h:x/0", "redis://h/x", "memory://"]
)
def test_other_addresses(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(BrokerAddressError):
        Settings().broker()


def test_addresses_that_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(MissingSettingError, match="REDIS_URL is not set"):
        Settings().broker()
    with pytest.raises(MissingSettingError, match="DATABASE_URL is not set"):
        Settings().database()


def test_a_password_shows_up_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@h/db")
    assert "secret" not in repr(Settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("LOG_LEVEL", "loud"), ("LEASE_SLACK_S", "long"), ("LEASE_SLACK_S", "inf"), ("LEASE_SLACK_S", "0")],
        ("DRAIN_S", "-1"),
        *[("HEALTH_ADDRESS", written) for written in ("9464", ":9464", "h", "h:x", "h:70000", "::1:80", "[h]:1")],
    ],
)
def test_a_setting_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(BadSettingError, match=f"^{name} can't be used: "):
        settings()


def test_a_log_level_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert Settings().log_level == "DEBUG"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("0.0.0.0:9464", Address("0.0.0.0", 9464)),  # noqa: S104 - nothing listens
        ("[::1]:0", Address("::1", 0)),
        ("localhost:1", Address("localhost", 1)),
        ("", None),
    ],
)
def test_where_a_worker_tells_how_it_is(monkeypatch: pytest.MonkeyPatch, written: str, address: Address | None) -> None:
    monkeypatch.setenv("HEALTH_ADDRESS", written)
    assert Settings().health_address == address
    assert str(address or "") == written


def test_what_of_the_environment_is_secret() -> None:
    environ = {
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://me:pass-word@h/db",
        "REDIS_URL": "redis://h",
        "HF_TOKEN": " hf_123456 ",
        "TGI_KEY": "key",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic abc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://[",
    }
    assert set(secrets(environ)) == {"pass-word", "hf_123456", "key", "authorization=Basic abc"}
