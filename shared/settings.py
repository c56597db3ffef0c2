"""The environment: where the infrastructure is. What to make stands in a job, never here."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import UserError

SETTLE_S = 30  # within which a worker that is told to stop has written and left, once its last call has ended


class MissingSettingError(UserError):
    """{name} is not set: {mend}; for the embedded ones, eval "$(ensemble-instruct local up)\""""


class BadSettingError(UserError):
    """{name} can't be used: {problem}"""


class BrokerAddressError(UserError):
    """REDIS_URL is not an address of Redis or Valkey: write redis://:password@host:6379/0 (or rediss:// for TLS),
    with special characters in the password percent-encoded"""


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(lambda level: str(level).upper())
]


class Address(NamedTuple):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(written: Any) -> Any:
    """`host:port`, or `[host]:port`, as an `Address`; nothing, where nothing is written."""
    if not isinstance(written, str) or not written:
        return written or None
    host, _, port = written.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare) == (bare == host) or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError("write it as host:port, for example 0.0.0.0:9464 or [::]:9464")
    return Address(bare, int(port))


class Settings(BaseSettings):
    """Read from environment variables of the same names. Addresses hold passwords, so they are secrets."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    redis_url: SecretStr | None = Field(None, validation_alias="REDIS_URL")
    lease_slack_s: float = Field(30, validation_alias="LEASE_SLACK_S", gt=0, allow_inf_nan=False)
    # how long calls under way may go on once a worker is told to stop; without it, to their end
    drain_s: float | None = Field(None, validation_alias="DRAIN_S", ge=0, allow_inf_nan=False)
    log_level: LogLevel = Field("INFO", validation_alias="LOG_LEVEL")
    cpu_profile: Path | None = Field(None, validation_alias="CPU_PROFILE")  # a file for a worker to write
    # where a worker answers /healthz, /readyz and /metrics
    health_address: Annotated[Address | None, BeforeValidator(_address), NoDecode] = Field(
        None, validation_alias="HEALTH_ADDRESS"
    )

    hf_token: SecretStr | None = Field(None, validation_alias="HF_TOKEN")  # of the hub that datasets are pushed to
    hf_endpoint: str | None = Field(None, validation_alias="HF_ENDPOINT")

    def database(self) -> str:
        """The address of Postgres. Raises `MissingSettingError`."""
        return _required("DATABASE_URL", self.database_url, "postgresql://user:password@host:5432/name")

    def broker(self) -> str:
        """The address of Redis or Valkey. Raises `MissingSettingError`, `BrokerAddressError`."""
        address = _required("REDIS_URL", self.redis_url, "redis://:password@host:6379/0")
        if not _is_redis(address):
            raise BrokerAddressError
        return address


_HOLDS_A_SECRET = re.compile("KEY|TOKEN|PASSWORD|SECRET|HEADERS")
_HOLDS_A_PASSWORD = re.compile("_(URL|ENDPOINT|PROXY|DSN)$")


def secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """What of the environment must not be told: keys, tokens and headers, and the passwords of addresses."""
    for name, value in environ.items():
        if _HOLDS_A_SECRET.search(name.upper()):
            yield value.strip()
        elif _HOLDS_A_PASSWORD.search(name.upper()) and (password := _password(value)):
            yield password


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None


def _required(name: str, value: SecretStr | None, example: str) -> str:
    if value is None or not value.get_secret_value():
        raise MissingSettingError(name=name, mend=f"set it to an address such as {example}")
    return value.get_secret_value()


def _is_redis(address: str) -> bool:
    try:
        parts = urlsplit(address)
        named = parts.scheme in ("redis", "rediss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False
    database = parts.path.strip("/")
    return named and (not database or (database.isascii() and database.isdecimal()))


@lru_cache
def settings() -> Settings:
    """The process's settings, read once. Raises `BadSettingError`."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSettingError(name=first["loc"][0], problem=first["msg"]) from None
