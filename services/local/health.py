"""Whether a server answers."""

import http.client
from urllib.parse import urlsplit

import psycopg
import redis

TIMEOUT_S = 2.0


def postgres_answers(url: str) -> bool:
    """Whether the database at `postgresql://…` takes a connection."""
    try:
        psycopg.connect(url, connect_timeout=int(TIMEOUT_S)).close()
    except psycopg.OperationalError:
        return False
    return True


def valkey_answers(url: str) -> bool:
    """Whether the broker at `redis://…` answers a ping."""
    try:
        with redis.Redis.from_url(url, socket_timeout=TIMEOUT_S) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def http_answers(url: str) -> bool:
    """Whether GET on `http://…` gives 200. Asked directly, whatever proxies the environment names."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", address.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
