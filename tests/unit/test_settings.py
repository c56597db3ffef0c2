import pytest

from shared.settings import BadSettingError, BrokerAddressError, MissingSettingError, Settings, settings


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
        *(("LOG_LEVEL", "loud"), ("DRAIN_S", "-1")),
        *(("LEASE_SLACK_S", "long"), ("LEASE_SLACK_S", "inf"), ("LEASE_SLACK_S", "0")),
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
