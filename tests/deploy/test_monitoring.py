"""What Prometheus and Grafana get in a cluster is what the files say."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy import monitoring
from tests.deploy.rendering import Rendered, labels_of, name_of, render, selects

TOP = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
components: [monitoring]
"""


def test_the_component_is_made_of_its_rules_and_dashboards() -> None:
    for name, content in monitoring.made().items():
        assert (monitoring.FOLDER / name).read_text() == content, "run: make monitoring"


def test_rules_and_dashboards_come_whole(tmp_path: Path) -> None:
    folder = tmp_path / "monitoring"
    shutil.copytree(monitoring.FOLDER, folder)
    rules = {"groups": [{"name": "one", "rules": [{"alert": "Down", "expr": "up == 0", "for": "5m"}]}]}
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "dashboards").mkdir(exist_ok=True)
    (folder / "dashboards" / "one.json").write_text('{"title": "One"}')
    for name, content in monitoring.made(folder).items():
        (folder / name).write_text(content)
    (tmp_path / "kustomization.yaml").write_text(TOP)
    rendered = render(tmp_path)
    assert rendered.named("PrometheusRule", "ensemble-instruct")["spec"] == rules
    dashboard = rendered.named("ConfigMap", "dashboard-one")
    assert dashboard["data"] == {"one.json": '{"title": "One"}'}
    assert labels_of(dashboard) == {"grafana_dashboard": "1"}


@pytest.mark.parametrize("overlay", ["prod", "of_job"])
def test_every_workers_metrics_are_fetched(overlay: str, request: pytest.FixtureRequest) -> None:
    rendered: Rendered = request.getfixturevalue(overlay)
    (monitor,) = rendered.of("ServiceMonitor")
    (service,) = [each for each in rendered.of("Service") if selects(monitor["spec"]["selector"], labels_of(each))]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"
    assert service["spec"]["publishNotReadyAddresses"]
    fetched = rendered.selected({"matchLabels": service["spec"]["selector"]})
    assert {name_of(each) for each in fetched} == {name_of(each) for each in rendered.workers}
