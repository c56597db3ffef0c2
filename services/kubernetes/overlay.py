"""What an overlay consists of: its files, each as plain values."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.kubernetes.limits import Limits, Pool, most_workers
from services.kubernetes.servers import Served, Server
from services.kubernetes.ways_out import way_out
from shared.job import JobSpec
from shared.queue import names

NAMESPACE = "ensemble-instruct"
MODEL_KEYS = "model-keys"  # the Secret with the keys of external servers, each under its variable's name
KUSTOMIZATION = "kustomization.yaml"

Files = dict[str, Any]
"""What stands in each file, by its path in the overlay's folder."""


class Ground(StrEnum):
    """The overlay that a job's is laid upon."""

    PROD = "prod"
    DEV = "dev"

    @property
    def scales(self) -> bool:
        """Whether it has KEDA change the number of workers."""
        return self is Ground.PROD


@dataclass(frozen=True, slots=True)
class Plan:
    """All that an overlay is made from."""

    job: JobSpec
    models: Sequence[Served]
    limits: Limits
    calls_per_worker: int
    ground: Ground

    @property
    def pools(self) -> list[Pool]:
        """Every pool that LM calls or verdicts wait for, those of the models last."""
        return [*self.limits.pools, *(self.pool_of(each) for each in self.models)]

    def pool_of(self, model: Served) -> Pool:
        """The workers that have a model answer."""
        most = most_workers(model.spec.max_in_flight, self.calls_per_worker)
        return Pool(f"output-generator-{model.label}", names.outputs(model.name), self.calls_per_worker, most)


def files(plan: Plan, manifests: Path, folder: Path) -> Files:
    """The overlay of a plan for `folder`, on the manifests of the project."""
    found: Files = {KUSTOMIZATION: _top(plan, os.path.relpath(manifests / "overlays" / plan.ground, folder))}
    for model in plan.models:
        at = Path("models") / model.label
        found[f"{at}/model.yaml"] = _model(plan, model)
        found[f"{at}/{KUSTOMIZATION}"] = _instance(plan, model, os.path.relpath(manifests / "components", folder / at))
        if model.server is Server.EXTERNAL:
            found[f"{at}/way-out.yaml"] = way_out(model.endpoints)
    found["job/job.yaml"] = _job(plan)
    return found


def _top(plan: Plan, ground: str) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": [ground, *(f"models/{model.label}" for model in plan.models)],
        "components": [f"{ground}/images"],
        "configMapGenerator": [
            {
                "name": "worker-settings",
                "namespace": NAMESPACE,
                "behavior": "merge",
                "literals": [f"DRAIN_S={plan.limits.drain_s}"],
            }
        ],
        "patches": [*_patches(plan)],
    }


def _patches(plan: Plan) -> list[dict[str, Any]]:
    grace = _replaced("/spec/template/spec/terminationGracePeriodSeconds", plan.limits.grace_s)
    patches = [{"target": {"kind": "Deployment", "labelSelector": "pool=worker"}, "patch": [grace]}]
    if plan.ground.scales:
        patches += [
            {"target": {"kind": "ScaledObject", "name": pool.name}, "patch": _scaled(pool)}
            for pool in plan.limits.pools
        ]
    if keys := _keys(plan.models):
        patches.append(
            {
                "target": {"kind": "Deployment", "name": "(instruction-generator|instance-generator|operator)"},
                "patch": [_added("/spec/template/spec/containers/0/env/-", key) for key in keys],
            }
        )
    return patches


def _scaled(pool: Pool) -> list[dict[str, Any]]:
    return [
        _replaced("/spec/maxReplicaCount", pool.most),
        _replaced("/spec/fallback/replicas", pool.most),
        _replaced("/spec/triggers/0/metadata/targetQueryValue", str(pool.target)),
    ]


def _replaced(path: str, value: object) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def _added(path: str, value: object) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _keys(models: Sequence[Served]) -> list[dict[str, Any]]:
    variables = dict.fromkeys(each.key for each in models if each.key)
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": MODEL_KEYS, "key": name}}} for name in variables]


def _model(plan: Plan, model: Served) -> dict[str, Any]:
    pool = plan.pool_of(model)
    data = {"queue": pool.queue, "calls-per-worker": str(pool.target), "most-workers": str(pool.most)}
    if model.brings_servers:
        data |= {
            "weights": model.spec.model or "",
            "revision": "main",
            "servers": str(model.servers),
            "gpus": "1",
            "cache": "100Gi",
            "calls-per-server": str(model.calls_per_server),
        }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "model", "annotations": {"config.kubernetes.io/local-config": "true"}},
        "data": data,
    }


def _instance(plan: Plan, model: Served, components: str) -> dict[str, Any]:
    component = f"{model.server}-model" if model.brings_servers else "output-pool"
    scaling = ["keda/output-pool"] if plan.ground.scales else []
    content: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "nameSuffix": f"-{model.label}",
        "labels": [{"pairs": {"model": model.label}, "includeSelectors": True}],
        "resources": ["model.yaml", *(["way-out.yaml"] if model.server is Server.EXTERNAL else [])],
        "components": [f"{components}/{each}" for each in (component, *scaling)],
    }
    if keys := _keys([model]):
        added = [_added("/spec/template/spec/containers/0/env/-", key) for key in keys]
        content["patches"] = [{"target": {"kind": "Deployment", "name": "output-generator"}, "patch": added}]
    return content


def _job(plan: Plan) -> dict[str, Any]:
    """The job with the addresses that its models have in the cluster; our own servers want no key."""
    content = plan.job.model_dump(mode="json", exclude_unset=True)
    for model in plan.models:
        written = content["models"][model.name]
        written["endpoints"] = list(model.endpoints)
        if model.server is not Server.EXTERNAL:
            written.pop("api_key_env", None)
    beside = {"seeds": plan.job.seeds and "seeds.jsonl", "prompts": plan.job.prompts and "prompts"}
    rest = {name: value for name, value in content.items() if name not in beside}
    return {**rest, **{name: value for name, value in beside.items() if value}}
