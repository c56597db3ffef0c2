"""Secrets: none in a manifest, and all of them known."""

import base64
import subprocess
from pathlib import Path

from shared.settings import Settings
from shared.store.roles import Role
from shared.store.session import make_engine
from tests.deploy.rendering import MANIFESTS, ROOT, Rendered, container_of, labels_of, name_of, pod_of, secret_keys

DOCS = ROOT / "docs" / "kubernetes.md"
DATABASE, BROKER = "ensemble-instruct-database", "ensemble-instruct-broker"
KEYS = {
    "migration": {(DATABASE, "owner-url")},
    "operator": {(DATABASE, "operator-url"), (BROKER, "url")},
    "explorer": {(DATABASE, "reader-url")},
    "model-server": {("hub-token", "token")},
    "postgres": {("postgres", "password")},
    "redis": {("redis", "password")},
}
OF_WORKERS = {(DATABASE, "worker-url"), (BROKER, "url")}


def given(dev: Rendered) -> dict[tuple[str, str], str]:
    """What the trial's Secrets hold."""
    return {
        (name_of(each), key): base64.b64decode(value).decode()
        for each in dev.of("Secret")
        for key, value in each["data"].items()
    }


def test_nothing_is_secret_in_production(prod: Rendered, of_job: Rendered) -> None:
    assert prod.of("Secret") == of_job.of("Secret") == []


def test_no_file_of_the_manifests_holds_a_password() -> None:
    kept = subprocess.run(["git", "ls-files", MANIFESTS], capture_output=True, text=True, check=True, cwd=MANIFESTS)
    assert not [name for name in kept.stdout.splitlines() if name.endswith(".env")]


def test_a_pod_gets_the_secrets_that_it_needs_and_no_others(prod: Rendered, dev: Rendered) -> None:
    for rendered in (prod, dev):
        for each in rendered.workloads:
            component = labels_of(pod_of(each))["app.kubernetes.io/component"]
            wanted = KEYS.get(component, OF_WORKERS)
            if rendered is dev and component == "migration":
                wanted = wanted | {("logins", role.value) for role in Role}
            assert set(secret_keys(each)) == wanted
            assert not [source for source in container_of(each).get("envFrom", ()) if "secretRef" in source]


def test_the_key_of_a_server_elsewhere_goes_to_those_who_call_it(of_job: Rendered) -> None:
    with_key = {name_of(each) for each in of_job.workloads if ("model-keys", "FAR_KEY") in secret_keys(each)}
    assert with_key == {"instruction-generator", "instance-generator", "operator", "output-generator-far"}


def test_only_model_servers_get_the_hubs_token(of_job: Rendered) -> None:
    with_token = [each for each in of_job.workloads if ("hub-token", "token") in secret_keys(each)]
    assert {labels_of(each)["app.kubernetes.io/component"] for each in with_token} == {"model-server"}


def test_the_trial_makes_every_secret_that_is_asked_for(dev: Rendered, of_job_on_trial: Rendered) -> None:
    asked = {key for each in (*dev.workloads, *of_job_on_trial.workloads) for key in secret_keys(each)}
    assert asked - given(dev).keys() == {("model-keys", "FAR_KEY")}


def test_the_trials_addresses_lead_to_its_own_stores(dev: Rendered) -> None:
    secrets = given(dev)
    logins = {"owner-url": ("postgres", "password")}
    logins |= {f"{role}-url": ("logins", role.value) for role in Role}
    for key, password in logins.items():
        url = make_engine(secrets[DATABASE, key]).url
        assert url.password == secrets[password]
        assert ("Service", str(url.host).partition(".")[0]) in dev.names
        assert url.port == 5432


def test_the_trials_migration_makes_the_logins_that_its_addresses_name(dev: Rendered) -> None:
    secrets = given(dev)
    (container,) = dev.named("Job", "migration")["spec"]["template"]["spec"]["containers"]
    variables = {each["valueFrom"]["secretKeyRef"]["key"]: each["name"] for each in container["env"]}
    for role in Role:
        user = make_engine(secrets[DATABASE, f"{role}-url"]).url.username
        made = f"db create-user {user} --role {role} --password-env {variables[role.value]}"
        assert made in container["command"][-1]


def test_the_trials_broker_is_the_one_that_its_address_names(dev: Rendered) -> None:
    secrets = given(dev)
    broker = Settings.model_validate({"REDIS_URL": secrets[BROKER, "url"]}).broker()
    assert broker == f"redis://:{secrets['redis', 'password']}@redis:6379/0"


def test_passwords_are_made_once_and_differ_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        script = tmp_path / name / "make-secrets.sh"
        script.parent.mkdir()
        script.write_bytes((MANIFESTS / "overlays" / "dev" / script.name).read_bytes())
        script.chmod(0o755)
        subprocess.run([script], check=True, capture_output=True)
        again = subprocess.run([script], check=False, capture_output=True, text=True)
        assert again.returncode == 2
        assert "exists already" in again.stderr
        assert not (script.parent / "secrets" / "postgres.env").stat().st_mode & 0o077
        made.append((script.parent / "secrets" / "postgres.env").read_text())
    assert made[0] != made[1]


def test_the_documentation_lists_every_secret_and_a_login_for_each_role(prod: Rendered) -> None:
    said = DOCS.read_text()
    asked = {key for each in prod.workloads for key in secret_keys(each)}
    (reference,) = [each["spec"]["secretTargetRef"][0] for each in prod.of("TriggerAuthentication")]
    for secret, key in {*asked, (reference["name"], reference["key"]), ("hub-token", "token")}:
        assert f"`{secret}`" in said
        assert f"`{key}`" in said
    for role in Role:
        assert f"--role {role}" in said
