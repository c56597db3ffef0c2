"""The environment: where the infrastructure is. What to make stands in a job, never here."""

from functools import lru_cache

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import UserError


class MissingSettingError(UserError):
    """{name} is not set: {mend}"""


class Settings(BaseSettings):
    """Read from environment variables of the same names. Addresses hold passwords, so they are secrets."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    redis_url: SecretStr | None = Field(None, validation_alias="REDIS_URL")
    lease_slack_s: float = Field(30, validation_alias="LEASE_SLACK_S", gt=0)
    log_level: str = Field("INFO", validation_alias="LOG_LEVEL")

    def database(self) -> str:
        """The address of Postgres. Raises `MissingSettingError`."""
        return _required("DATABASE_URL", self.database_url, "postgresql://user:password@host:5432/name")

    def broker(self) -> str:
        """The address of Redis or Valkey. Raises `MissingSettingError`."""
        return _required("REDIS_URL", self.redis_url, "redis://:password@host:6379/0")


def _required(name: str, value: SecretStr | None, example: str) -> str:
    if value is None or not value.get_secret_value():
        raise MissingSettingError(name=name, mend=f"set it to an address such as {example}")
    return value.get_secret_value()


@lru_cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
