"""What Kustomize makes of the manifests, as kubectl would apply it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "k8s"
KUBECTL = Path(sys.executable).parent / "kubectl"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """All objects of an overlay."""

    objects: Sequence[Manifest]

    def of(self, *kinds: str) -> list[Manifest]:
        """Those of some kinds."""
        return [each for each in self.objects if each["kind"] in kinds]

    def named(self, kind: str, name: str) -> Manifest:
        """The only one of its kind with that name."""
        (found,) = [each for each in self.of(kind) if name_of(each) == name]
        return found

    @property
    def names(self) -> set[tuple[str, str]]:
        """The kind and name of each."""
        return {(each["kind"], name_of(each)) for each in self.objects}

    @property
    def workloads(self) -> list[Manifest]:
        """What makes pods."""
        return self.of("Deployment", "StatefulSet", "Job")

    def selected(self, selector: Mapping[str, Any]) -> list[Manifest]:
        """The workloads whose pods a label selector matches."""
        return [each for each in self.workloads if selects(selector, labels_of(pod_of(each)))]

    @property
    def workers(self) -> list[Manifest]:
        """The pools of workers."""
        return [each for each in self.of("Deployment") if labels_of(each).get("pool") == "worker"]


def render(folder: Path) -> Rendered:
    """What `kubectl kustomize` makes of a folder."""
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # warnings of what is deprecated
    return Rendered(list(yaml.safe_load_all(done.stdout)))


def name_of(manifest: Manifest) -> str:
    """Its name."""
    return str(manifest["metadata"]["name"])


def labels_of(manifest: Manifest) -> dict[str, str]:
    """The labels of an object, or of a pod's template."""
    return dict(manifest["metadata"].get("labels", {}))


def pod_of(workload: Manifest) -> Manifest:
    """The template of its pods."""
    return dict(workload["spec"]["template"])


def container_of(workload: Manifest) -> dict[str, Any]:
    """Its only container."""
    (container,) = pod_of(workload)["spec"]["containers"]
    return dict(container)


def option(workload: Manifest, name: str) -> str:
    """The value of an option such as `-Q` of its command."""
    arguments = [*container_of(workload).get("command", ()), *container_of(workload).get("args", ())]
    return str(arguments[arguments.index(name) + 1])


def queue_of(worker: Manifest) -> str:
    """The queue that a pool listens to."""
    return option(worker, "-Q")


def secret_keys(workload: Manifest) -> Iterator[tuple[str, str]]:
    """Each Secret and key that its container takes."""
    for variable in container_of(workload).get("env", ()):
        if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
            yield reference["name"], reference["key"]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Kubernetes matches."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(_fits(each, labels) for each in selector.get("matchExpressions", ()))


def _fits(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert expression["operator"] == "In"
    return labels.get(expression["key"]) in expression["values"]
