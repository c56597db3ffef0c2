"""The pods: what they run, how they are watched, how they stop, and what they may do."""

import subprocess
import sys
from math import ceil
from pathlib import Path

import click
from celery.bin.worker import worker

from services.kubernetes.overlay import NAMESPACE
from shared.job import JobSpec, ModelSpec
from shared.queue import names
from shared.settings import SETTLE_S, Settings
from tests.deploy.rendering import (
    ROOT,
    Manifest,
    Rendered,
    container_of,
    labels_of,
    name_of,
    pod_of,
    queue_of,
    selects,
)
from workers.runtime import CONNECTIONS

OURS = ("ensemble-instruct-worker", "ensemble-instruct-services")
QUEUES_OF_ALL = {names.INSTRUCTIONS, names.INSTANCES, names.CONSENSUS, names.CONTROL}


def settings_of(rendered: Rendered, worker: Manifest) -> dict[str, str]:
    """The plain environment of a worker, as its settings read it."""
    found: dict[str, str] = {}
    for source in container_of(worker)["envFrom"]:
        found |= rendered.named("ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {each["name"]: each["value"] for each in container_of(worker)["env"] if "value" in each}


def test_each_queue_has_one_pool(rendered: Rendered) -> None:
    queues = [names.checked(queue_of(each)) for each in rendered.workers]
    assert len(set(queues)) == len(queues)
    assert set(queues) >= QUEUES_OF_ALL


def test_each_model_of_a_job_has_a_pool_on_its_own_queue(of_job: Rendered, job: JobSpec) -> None:
    queues = {queue_of(each) for each in of_job.workers}
    assert queues - QUEUES_OF_ALL == {names.outputs(model) for model in job.models}


def test_there_is_one_reconciler(rendered: Rendered) -> None:
    assert rendered.named("Deployment", "reconciler")["spec"]["replicas"] == 1


def test_a_pool_is_as_large_as_whoever_scales_it_left_it(rendered: Rendered) -> None:
    assert [name_of(each) for each in rendered.workers if "replicas" in each["spec"]] == ["reconciler"]


def test_a_worker_is_started_as_celery_takes_it(rendered: Rendered) -> None:
    parser = worker.make_parser(click.Context(worker))
    for each in rendered.workers:
        *program, subcommand = container_of(each)["command"][:4]
        assert (program, subcommand) == (["celery", "-A", "workers.app"], "worker")
        options, rest, _ = parser.parse_args([*container_of(each)["command"][4:], *container_of(each)["args"]])
        assert options["pool"] == "threads"
        assert options["hostname"].endswith("@%h")
        assert rest == []


def test_workers_read_settings_that_are_known(rendered: Rendered) -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    for each in rendered.workers:
        given = settings_of(rendered, each)
        assert set(given) <= known | {"HEALTH_ADDRESS"}
        Settings.model_validate(given)


def test_calls_may_go_on_as_long_as_the_longest_and_the_kill_comes_after_that(
    rendered: Rendered, of_job: Rendered, of_job_on_trial: Rendered, job: JobSpec
) -> None:
    longest_s = ModelSpec.model_fields["timeout_s"].default
    if rendered in (of_job, of_job_on_trial):
        longest_s = max(model.timeout_s for model in job.models.values())
    for each in rendered.workers:
        assert Settings.model_validate(settings_of(rendered, each)).drain_s == ceil(longest_s)
        assert pod_of(each)["spec"]["terminationGracePeriodSeconds"] >= ceil(longest_s) + SETTLE_S
        assert "REMAP_SIGTERM" not in settings_of(rendered, each)  # Celery's own way to stop has another limit


def test_a_worker_is_watched_where_it_answers(rendered: Rendered) -> None:
    for each in rendered.workers:
        container = container_of(each)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert settings_of(rendered, each)["HEALTH_ADDRESS"] == f"0.0.0.0:{ports['health']}"
        paths = {
            name: container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")
        }
        assert paths == {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
        assert all(container[name]["httpGet"]["port"] == "health" for name in paths)


def test_every_pod_that_serves_somebody_says_when_it_is_ready(rendered: Rendered) -> None:
    for each in rendered.workloads:
        if container_of(each).get("ports"):
            assert {"readinessProbe", "livenessProbe"} <= container_of(each).keys(), name_of(each)


def test_probes_and_services_name_ports_that_their_pods_have(rendered: Rendered) -> None:
    for each in rendered.workloads:
        ports = {port["name"] for port in container_of(each).get("ports", ())}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            way = container_of(each).get(probe, {})
            named = way.get("httpGet", way.get("tcpSocket", {})).get("port")
            assert named is None or named in ports
    for service in rendered.of("Service"):
        served = rendered.selected({"matchLabels": service["spec"]["selector"]})
        assert served, name_of(service)
        for port in service["spec"]["ports"]:
            for each in served:
                numbers = {named["name"]: named["containerPort"] for named in container_of(each)["ports"]}
                assert numbers[port["targetPort"]] == port["port"]


def test_selectors_select_their_own_pods_and_no_others(rendered: Rendered) -> None:
    for each in rendered.of("Deployment", "StatefulSet"):
        assert rendered.selected(each["spec"]["selector"]) == [each]


def test_every_pool_survives_the_drain_of_a_node(rendered: Rendered) -> None:
    budgets = rendered.of("PodDisruptionBudget")
    for each in rendered.workers:
        (budget,) = [other for other in budgets if selects(other["spec"]["selector"], labels_of(pod_of(each)))]
        assert budget["spec"]["maxUnavailable"] == 1


def test_pods_of_a_pool_are_spread_over_nodes(rendered: Rendered) -> None:
    for each in rendered.workers:
        (spread,) = pod_of(each)["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"
        assert selects(spread["labelSelector"], labels_of(pod_of(each)))
        # the API server refuses a key that stands in both
        assert not set(spread["matchLabelKeys"]) & set(spread["labelSelector"]["matchLabels"])


def test_no_pod_may_do_more_than_it_needs(rendered: Rendered) -> None:
    """The restricted profile of the Pod Security Standards, and no token for the Kubernetes API."""
    for each in rendered.workloads:
        pod, container = pod_of(each)["spec"], container_of(each)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
        assert {next(iter(volume.keys() - {"name"})) for volume in pod.get("volumes", ())} <= {"emptyDir"}
        account = rendered.named("ServiceAccount", pod["serviceAccountName"])
        assert pod["automountServiceAccountToken"] is False
        assert account["automountServiceAccountToken"] is False
    namespace = rendered.named("Namespace", NAMESPACE)
    assert labels_of(namespace)["pod-security.kubernetes.io/enforce"] == "restricted"


def test_our_pods_write_to_tmp_alone(rendered: Rendered) -> None:
    for each in rendered.workloads:
        container = container_of(each)
        if any(name in container["image"] for name in OURS):
            assert pod_of(each)["spec"]["securityContext"]["runAsUser"] == 10001
            assert pod_of(each)["spec"]["securityContext"]["runAsGroup"] == 10001
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108 - a pod's own


def test_the_pod_for_commands_waits_until_it_is_told_to_stop(prod: Rendered) -> None:
    container = container_of(prod.named("Deployment", "operator"))
    assert container["command"] == ["python", "-c"]
    (code,) = container["args"]
    said = code.replace("sigwait", "print('up', flush=True); sigwait")
    with subprocess.Popen([sys.executable, "-c", said], stdout=subprocess.PIPE) as waiting:
        assert waiting.stdout
        assert waiting.stdout.readline() == b"up\n"
        assert waiting.poll() is None
        waiting.terminate()
        assert waiting.wait(60) == 0


def test_the_explorer_listens_where_its_service_leads(rendered: Rendered) -> None:
    container = container_of(rendered.named("Deployment", "explorer"))
    given = dict(zip(container["args"][::2], container["args"][1::2], strict=True))
    (port,) = container["ports"]
    assert given == {"--host": "0.0.0.0", "--port": str(port["containerPort"]), "--name": "explorer"}  # noqa: S104 - in its container
    (budget,) = [each for each in rendered.of("PodDisruptionBudget") if name_of(each) == "explorer"]
    assert selects(budget["spec"]["selector"], labels_of(pod_of(rendered.named("Deployment", "explorer"))))


def test_commands_are_there(prod: Rendered) -> None:
    for kind, name in (("Job", "migration"), ("Deployment", "explorer")):
        program, *arguments = container_of(prod.named(kind, name))["command"]
        asked = subprocess.run([Path(sys.executable).with_name(program), *arguments, "--help"], check=False, cwd=ROOT)
        assert asked.returncode == 0


def test_every_container_says_what_it_needs_at_least_and_at_most(rendered: Rendered) -> None:
    for each in rendered.workloads:
        resources = container_of(each)["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys()
        assert "memory" in resources["limits"]


def test_our_images_are_those_of_this_version(rendered: Rendered) -> None:
    version = next(
        line.split('"')[1] for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("version")
    )
    ours = [container_of(each)["image"] for each in rendered.workloads]
    ours = [image for image in ours if any(name in image for name in OURS)]
    assert ours
    assert {image.rpartition(":")[2] for image in ours} == {version}


def test_no_image_changes_by_itself(rendered: Rendered) -> None:
    for each in rendered.workloads:
        _, _, tag = container_of(each)["image"].rpartition("/")[2].partition(":")
        assert tag not in ("", "latest")


def test_the_trial_postgres_has_room_for_every_worker(of_job_on_trial: Rendered) -> None:
    arguments = container_of(of_job_on_trial.named("StatefulSet", "postgres"))["args"]
    (most,) = [int(each.partition("=")[2]) for each in arguments if each.startswith("max_connections=")]
    assert len(of_job_on_trial.workers) * 2 * CONNECTIONS < most
