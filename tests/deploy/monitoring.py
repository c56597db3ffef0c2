"""Makes components/monitoring of its rules and dashboards: `make monitoring`.

Compose mounts the files as they are. Kustomize can list them, but not put one into another object.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.deploy.rendering import MANIFESTS

FOLDER = MANIFESTS / "components" / "monitoring"
BY_HAND = ("service-monitor.yaml", "network-policy.yaml")
RULES, RULE = "rules.yaml", "prometheus-rule.yaml"
HEADERS = {
    "kustomization.yaml": "# For the Prometheus operator, and a Grafana whose sidecar looks for ConfigMaps labelled\n"
    "# grafana_dashboard. Made of the folder by `make monitoring`.",
    RULE: f"# Made of {RULES} by `make monitoring`.",
}


def made(folder: Path = FOLDER) -> dict[str, str]:
    """The files to write, by name."""
    rules = folder / RULES
    files: dict[str, Any] = {"kustomization.yaml": _kustomization(folder)}
    if rules.exists():
        files[RULE] = {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "ensemble-instruct"},
            "spec": yaml.safe_load(rules.read_text()),
        }
    return {name: f"{HEADERS[name]}\n{_dump(content)}" for name, content in files.items()}


def _kustomization(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [*BY_HAND, *([RULE] if (folder / RULES).exists() else [])],
    }
    if dashboards := sorted(path.name for path in (folder / "dashboards").glob("*.json")):
        content["configMapGenerator"] = [
            {
                "name": f"dashboard-{name.removesuffix('.json')}",
                "files": [f"dashboards/{name}"],
                "options": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
            }
            for name in dashboards
        ]
    return content


def _dump(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write them."""
    for name, content in made().items():
        (FOLDER / name).write_text(content)


if __name__ == "__main__":
    main()
