"""The network: nothing is open but what is needed."""

from itertools import product

import pytest

from tests.deploy.network import Pod, elsewhere, may_enter, may_leave, may_speak, pod
from tests.deploy.rendering import Rendered, container_of, labels_of, name_of, pod_of

COMPONENT = "app.kubernetes.io/component"
LMS = {"instruction-generator", "instance-generator", "output-generator", "operator"}  # who calls LMs
POSTGRES = {*LMS, "consensus-judge", "reconciler", "migration", "explorer"}  # who asks Postgres
REDIS = POSTGRES - {"migration", "explorer"}
STRANGER = elsewhere("default", {"app": "stranger"})
FAR = "198.51.100.7"


def component(rendered: Rendered, workload: str) -> str:
    """What a workload is a part of."""
    return pod(rendered, workload).labels[COMPONENT]


def test_pods_speak_to_each_other_exactly_where_they_need_to(of_job_on_trial: Rendered) -> None:
    served = {"postgres": (5432, POSTGRES), "redis": (6379, REDIS), "model-server": (8080, LMS)}
    names = [name_of(each) for each in of_job_on_trial.workloads]
    for source, target, port in product(names, names, (5432, 6379, 8000, 8080, 9464)):
        at, users = served.get(component(of_job_on_trial, target), (0, set()))
        needed = port == at and component(of_job_on_trial, source) in users
        assert may_speak(of_job_on_trial, pod(of_job_on_trial, source), pod(of_job_on_trial, target), port) == needed, (
            f"{source} to {target}:{port}"
        )


def test_the_explorer_is_closed_to_all_but_namespaces_that_are_labelled(rendered: Rendered) -> None:
    explorer = pod(rendered, "explorer")
    proxy = Pod({"app": "proxy"}, {"kubernetes.io/metadata.name": "web", "ensemble-instruct/explorer": "open"})
    assert may_enter(rendered, proxy, explorer, 8000)
    assert not may_enter(rendered, proxy, pod(rendered, "operator"), 8000)
    assert not may_enter(rendered, elsewhere("web"), explorer, 8000)


def test_servers_listen_where_the_ways_lead(of_job_on_trial: Rendered) -> None:
    listening = {
        labels_of(pod_of(each))[COMPONENT]: container_of(each)["ports"][0]["containerPort"]
        for each in of_job_on_trial.of("StatefulSet")
    }
    assert listening == {"postgres": 5432, "redis": 6379, "model-server": 8080}


def test_every_pod_may_ask_for_names(rendered: Rendered) -> None:
    names = elsewhere("kube-system", {"k8s-app": "kube-dns"})
    for each in rendered.workloads:
        assert may_leave(rendered, pod(rendered, name_of(each)), names, 53, "UDP")
        assert may_leave(rendered, pod(rendered, name_of(each)), names, 53, "TCP")


def test_strangers_reach_nothing(rendered: Rendered) -> None:
    for each, port in product(rendered.workloads, (5432, 6379, 8000, 8080, 9464)):
        assert not may_enter(rendered, STRANGER, pod(rendered, name_of(each)), port)
        assert not may_enter(rendered, FAR, pod(rendered, name_of(each)), port)


def test_only_prometheus_fetches_metrics_and_only_keda_asks_for_the_length_of_queues(
    of_job: Rendered, of_job_on_trial: Rendered
) -> None:
    for each in of_job.workers:
        assert may_enter(of_job, elsewhere("monitoring"), pod(of_job, name_of(each)), 9464)
    assert not may_enter(of_job, elsewhere("monitoring"), pod(of_job, "operator"), 9464)
    assert not may_enter(of_job_on_trial, elsewhere("keda"), pod(of_job_on_trial, "postgres"), 5432)


@pytest.mark.parametrize("port", [80, 443, 5432])
def test_a_job_whose_models_are_all_in_the_cluster_leads_nowhere_else(prod: Rendered, port: int) -> None:
    for each in prod.workloads:
        assert not may_leave(prod, pod(prod, name_of(each)), FAR, port)


def test_managed_stores_are_reached_in_their_networks(prod: Rendered) -> None:
    for each in prod.workloads:
        of = component(prod, name_of(each))
        assert may_leave(prod, pod(prod, name_of(each)), "192.0.2.10", 5432) == (of in POSTGRES)
        assert may_leave(prod, pod(prod, name_of(each)), "192.0.2.10", 6379) == (of in REDIS)


def test_models_elsewhere_are_reached_by_those_who_call_them_at_their_ports(of_job: Rendered) -> None:
    for each in of_job.workloads:
        name, of = name_of(each), component(of_job, name_of(each))
        assert may_leave(of_job, pod(of_job, name), "2001:db8::7", 9000) == (of in LMS)
        assert may_leave(of_job, pod(of_job, name), FAR, 443) == (of in LMS or of == "model-server")
        assert not may_leave(of_job, pod(of_job, name), FAR, 80)


def test_model_servers_fetch_weights_and_reach_nothing_private(of_job: Rendered) -> None:
    server = pod(of_job, "model-server-answerer")
    assert may_leave(of_job, server, FAR, 443)
    for private in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254"):
        assert not may_leave(of_job, server, private, 443)
