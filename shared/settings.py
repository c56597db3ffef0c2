"""The environment: where the infrastructure is. What to make stands in a job, never here."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

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

    def database(self) -> str:
        """The address of Postgres. Raises `MissingSettingError`."""
        return _required("DATABASE_URL", self.database_url, "postgresql://user:password@host:5432/name")

    def broker(self) -> str:
        """The address of Redis or Valkey. Raises `MissingSettingError`, `BrokerAddressError`."""
        address = _required("REDIS_URL", self.redis_url, "redis://:password@host:6379/0")
        if not _is_redis(address):
            raise BrokerAddressError
        return address


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
