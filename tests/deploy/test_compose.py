"""docker-compose.yml against the code, the jobs that go with it, and what it promises of itself."""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from shared.job import JobSpec
from shared.job_file import read_job
from shared.queue import names
from shared.store.roles import Role
from tests.deploy import compose
from tests.deploy.compose import ROOT, Service

WORKER_IMAGE, OWN_IMAGES = "ensemble-instruct-worker", "ensemble-instruct-"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole configuration."""
    return compose.parsed(tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="module")
def services(config: dict[str, Any]) -> Mapping[str, Service]:
    """All services of all profiles."""
    found: Mapping[str, Service] = config["services"]
    return found


def workers(services: Mapping[str, Service], profile: str) -> Iterator[tuple[str, Service]]:
    """The worker pools that run in a profile, and so in any."""
    for name, service in services.items():
        if service["image"].startswith(WORKER_IMAGE) and profile in service.get("profiles", [profile]):
            yield name, service


def job(profile: str) -> JobSpec:
    """The job that goes with a profile."""
    return read_job(ROOT / "jobs" / f"compose-{profile}.yaml")


def test_nothing_listens_beyond_this_machine(services: Mapping[str, Service]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_databases_and_workers_have_no_way_out(config: dict[str, Any], services: Mapping[str, Service]) -> None:
    closed = {name for name, network in config["networks"].items() if network.get("internal")}
    for name in ("postgres", "redis", "migrate", *dict(workers(services, "cpu"))):
        assert set(services[name]["networks"]) <= closed


def test_our_containers_can_change_nothing_but_their_own_folders(services: Mapping[str, Service]) -> None:
    ours = {name: each for name, each in services.items() if each["image"].startswith(OWN_IMAGES)}
    assert len(ours) > 8
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_password_stands_in_the_file() -> None:
    raw = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in raw["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "URL" in name or "AUTH" in name:
                assert "${" in str(value)


def test_without_passwords_it_says_what_to_do(tmp_path: Path) -> None:
    done = compose.config(tmp_path, env="")
    assert done.returncode != 0
    assert "run make env" in done.stderr


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_queue_of_the_profiles_job_has_one_pool(services: Mapping[str, Service], profile: str) -> None:
    models = {voice.model for voice in job(profile).outputs}
    wanted = [*(names.outputs(model) for model in models), names.INSTRUCTIONS, names.INSTANCES]
    listened = [queue for _, each in workers(services, profile) for queue in compose.queues(each)]
    assert sorted(listened) == sorted([*wanted, names.CONSENSUS, names.CONTROL])


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_model_of_the_profiles_job_is_a_service_that_workers_reach(
    services: Mapping[str, Service], profile: str
) -> None:
    for model in job(profile).models.values():
        for address in map(urlsplit, model.urls):
            server = services[address.hostname or ""]
            assert profile in server["profiles"]
            said = server.get("healthcheck", {}).get("test") or server["command"]
            assert str(address.port or 80) in re.findall(r"\d+", " ".join(said))
            assert all(set(each["networks"]) & set(server["networks"]) for _, each in workers(services, profile))


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_a_worker_may_finish_its_longest_call_before_it_is_killed(
    services: Mapping[str, Service], profile: str
) -> None:
    longest = max(model.timeout_s for model in job(profile).models.values())
    for _, worker in workers(services, profile):
        assert seconds(worker["stop_grace_period"]) > longest


def seconds(duration: str) -> float:
    """`2m30s` as a number of seconds."""
    minutes, _, rest = duration.rpartition("m")
    return 60 * float(minutes or 0) + float(rest.rstrip("s") or 0)


def test_workers_wait_for_the_tables(services: Mapping[str, Service]) -> None:
    for profile in ("cpu", "gpu"):
        for _, worker in workers(services, profile):
            assert worker["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_the_only_one_who_has_the_owners_password_is_the_migration(services: Mapping[str, Service]) -> None:
    assert {
        name
        for name, service in services.items()
        if "ensemble_owner:" in service.get("environment", {}).get("DATABASE_URL", "")
    } == {"migrate"}


def test_the_explorer_reads_and_has_no_way_to_the_broker(services: Mapping[str, Service]) -> None:
    explorer = services["explorer"]
    assert explorer["environment"].keys() == {"DATABASE_URL"}
    assert urlsplit(explorer["environment"]["DATABASE_URL"]).username == "reader"
    assert f"db create-user reader --role {Role.READER}" in services["migrate"]["command"][-1]
    assert set(explorer["networks"]) == {"backend", "front"}


def test_the_explorer_is_asked_where_it_listens(services: Mapping[str, Service]) -> None:
    explorer = services["explorer"]
    given = dict(zip(explorer["command"][1::2], explorer["command"][2::2], strict=True))
    assert (explorer["command"][0], given["--host"]) == ("explorer", "0.0.0.0")  # noqa: S104 - a container's own
    assert [str(port["target"]) for port in explorer["ports"]] == [given["--port"]]
    asked = urlsplit(explorer["healthcheck"]["test"][-1])
    assert explorer["healthcheck"]["test"][1:4] == ["python", "-m", "shared.telemetry.probe"]
    assert (asked.hostname, str(asked.port), asked.path) == ("127.0.0.1", given["--port"], "/healthz")


def test_prometheus_watches_every_pool(services: Mapping[str, Service]) -> None:
    watched = yaml.safe_load((ROOT / "deploy" / "prometheus.yaml").read_text())["scrape_configs"][0]
    pools = {name for profile in ("cpu", "gpu") for name, _ in workers(services, profile)}
    assert set(watched["dns_sd_configs"][0]["names"]) == pools
    ports = {each["environment"]["HEALTH_ADDRESS"].rpartition(":")[2] for _, each in workers(services, "cpu")}
    assert ports == {str(watched["dns_sd_configs"][0]["port"])}


def test_what_is_mounted_is_there(services: Mapping[str, Service]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", []) if mount["type"] == "bind"]
    for mount in mounts:
        path = Path(mount["source"])
        assert path.exists() or path == ROOT / "exports"


def test_make_env_writes_other_passwords_each_time_and_never_over_a_file(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "deploy" / "make_env.py")]
    for name in ("one", "other"):
        subprocess.run([*command, str(tmp_path / name)], check=True, capture_output=True)
    one, other = ((tmp_path / name).read_text() for name in ("one", "other"))
    assert not set(one.splitlines()[:7]) & set(other.splitlines()[:7])
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    again = subprocess.run([*command, str(tmp_path / "one")], check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert (tmp_path / "one").read_text() == one
