"""The command that writes the Kubernetes overlay of a job."""

from pathlib import Path
from typing import Annotated

import typer

from services.admin.console import answer, err, say, table
from services.admin.options import JobPath, Overrides
from services.admin.planning import plan_job
from services.kubernetes.limits import CALLS_PER_WORKER, limits
from services.kubernetes.overlay import MODEL_KEYS, Ground, Plan, files
from services.kubernetes.servers import OF_PROTOCOL, TITLES, Served, Server, served
from services.kubernetes.writing import refuse_taken, write
from shared.errors import UserError, WorldError
from shared.job import JobSpec
from shared.job_file import read_job

MANIFESTS = Path(__file__).parents[2] / "k8s"


class NoManifestsError(WorldError):
    """There are no manifests at {path} to lay an overlay upon: run this in a checkout of ensemble-instruct."""


class WrongPlaceError(UserError):
    """--out {path} lies among the manifests that it would be laid upon; name a folder outside of {manifests}, or one
    right in {manifests}/overlays"""


def k8s(
    job: JobPath,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="the folder to write, new or empty")],
    overrides: Overrides = [],  # noqa: B006 - Typer copies it
    servers: Annotated[
        list[str],
        typer.Option(
            "--server",
            metavar="NAME=SERVER",
            help="what serves a model: tgi, vllm, or external for its endpoints as they are; by default external, or "
            "by its protocol if they are on this machine",
        ),
    ] = [],  # noqa: B006 - Typer copies it
    ground: Annotated[
        Ground,
        typer.Option(
            "--on", help="prod: managed Postgres and Redis, KEDA; dev: both in the cluster, one worker a queue"
        ),
    ] = Ground.PROD,
    calls_per_worker: Annotated[
        int, typer.Option(min=1, max=4096, help="unfinished calls for each worker, before there is one more")
    ] = CALLS_PER_WORKER,
) -> None:
    """Write the Kustomize overlay that serves a job's models and scales its workers, and print its folder."""
    spec = plan_job(read_job(job, overrides)).job
    plan = Plan(spec, served(spec, servers), limits(spec, calls_per_worker), calls_per_worker, ground)
    _check_place(out)
    write(out, files(plan, MANIFESTS.resolve(), out.resolve()), _copies(spec))
    answer(str(out))
    _tell(plan, out)


def _check_place(out: Path) -> None:
    refuse_taken(out)
    place, manifests = out.resolve(), MANIFESTS.resolve()
    if not (manifests / "base").is_dir():
        raise NoManifestsError(path=manifests)
    if place.is_relative_to(manifests) and place.parent != manifests / "overlays":
        raise WrongPlaceError(path=out, manifests=manifests)


def _copies(job: JobSpec) -> dict[str, Path]:
    """The seeds and prompts that the job brings along, for the pod that will enqueue it."""
    own = {"job/seeds.jsonl": job.seeds, "job/prompts": job.prompts}
    return {name: path for name, path in own.items() if path}


def _tell(plan: Plan, out: Path) -> None:
    for model in plan.models:
        say(f"{model.name}: {_where(model)}")
    listing = table("queue", numbers=("workers", "unfinished for each"))
    for pool in plan.pools:
        scales = plan.ground.scales and pool.most > 1
        listing.add_row(pool.queue, f"1 to {pool.most}" if scales else "1", str(pool.target) if scales else "")
    err.print(listing)
    say(f"a worker that stops has {plan.limits.drain_s} s for its calls; Kubernetes waits {plan.limits.grace_s} s")
    for name in dict.fromkeys(key for model in plan.models if (key := model.key)):
        say(f"the Secret {MODEL_KEYS} must hold {name}")
    say(f"next: kubectl apply -k {out}, then enqueue {out / 'job' / 'job.yaml'} (docs/kubernetes.md)")


def _where(model: Served) -> str:
    if model.server is Server.EXTERNAL:
        at, own = ", ".join(model.endpoints), OF_PROTOCOL[model.spec.protocol]
        return f"outside of the overlay, at {at}; --server {model.name}={own} brings servers"
    if not model.brings_servers:
        return f"the servers of {model.at}"
    count = f"{model.servers} server{'s' if model.servers > 1 else ''}"
    return f"{count} of {TITLES[model.server]}, up to {model.calls_per_server} calls each, weights {model.spec.model}"


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(k8s)
