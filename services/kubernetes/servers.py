"""Where the models of a job are served: by servers in the cluster that the overlay brings along, or elsewhere."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from math import ceil
from urllib.parse import urlsplit

from services.admin.listed import Listed
from services.kubernetes.names import label_of
from shared.errors import UserError
from shared.job import JobSpec, ModelSpec, Protocol

PORT = 8080  # of components/model-server


class Server(StrEnum):
    """What serves a model."""

    TGI = "tgi"
    VLLM = "vllm"
    EXTERNAL = "external"


TITLES = {Server.TGI: "Text Generation Inference", Server.VLLM: "vLLM"}
OF_PROTOCOL = {Protocol.TGI: Server.TGI, Protocol.OPENAI: Server.VLLM}


class ServerOptionError(UserError):
    """--server {text}: {reason}; write it as NAME=tgi, NAME=vllm or NAME=external"""


class NotServableError(Listed, UserError):
    """Some of the job's models can't be served in the cluster as it stands:"""


@dataclass(frozen=True, slots=True)
class Served:
    """A model of a job, what serves it, and under which model's name its servers stand."""

    name: str
    spec: ModelSpec
    server: Server
    at: str
    most_in_flight: int
    """Calls under way at once, over all models of the same servers: they share one window."""

    @property
    def label(self) -> str:
        """What its pools and servers are called after."""
        return label_of(self.name)

    @property
    def brings_servers(self) -> bool:
        """Whether the overlay holds servers for it, and not another model's or none."""
        return self.server is not Server.EXTERNAL and self.at == self.name

    @property
    def key(self) -> str | None:
        """The environment variable with its servers' key, if they want one."""
        return self.spec.api_key_env if self.server is Server.EXTERNAL else None

    @property
    def servers(self) -> int:
        """How many there are: as many as the job has endpoints."""
        return len(self.spec.endpoints)

    @property
    def calls_per_server(self) -> int:
        """How many calls each of them must take at once."""
        return ceil(self.most_in_flight / self.servers)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Where workers reach it."""
        if self.server is Server.EXTERNAL:
            return self.spec.urls
        return addresses(self.at, self.servers)


def addresses(model: str, servers: int) -> tuple[str, ...]:
    """Where the overlay's servers of a model stand."""
    name = f"model-server-{label_of(model)}"
    return tuple(f"http://{name}-{number}.{name}:{PORT}" for number in range(servers))


def served(job: JobSpec, options: Sequence[str]) -> list[Served]:
    """What serves each model: what `options` (`NAME=server`) say, else what its address and protocol suggest.

    Models with the same endpoints and the same name at the server are served by the same servers.
    Raises `ServerOptionError`, `NotServableError`.
    """
    wanted = _wanted(job, options)
    groups: dict[tuple[tuple[str, ...], str | None, Server], list[str]] = {}
    for name, spec in job.models.items():
        groups.setdefault((spec.urls, spec.model, wanted.get(name) or _suggested(job, spec)), []).append(name)
    found = {
        name: Served(name, job.models[name], server, group[0], max(job.models[each].max_in_flight for each in group))
        for (*_, server), group in groups.items()
        for name in group
    }
    in_order = [found[name] for name in job.models]
    if faults := [fault for each in in_order if (fault := _fault(each))]:
        raise NotServableError(faults)
    return in_order


def _wanted(job: JobSpec, options: Sequence[str]) -> Mapping[str, Server]:
    wanted: dict[str, Server] = {}
    for text in options:
        name, _, server = text.partition("=")
        if name not in job.models:
            raise ServerOptionError(text=text, reason=f"the job has no model '{name}', but {', '.join(job.models)}")
        if server not in list(Server):
            raise ServerOptionError(text=text, reason=f"there is no server '{server}'")
        if wanted.setdefault(name, Server(server)) != server:
            raise ServerOptionError(text=text, reason=f"it was {wanted[name]} before")
    return wanted


def _suggested(job: JobSpec, spec: ModelSpec) -> Server:
    """This machine can't be meant in a cluster, and an overlay's own job names the overlay's servers."""
    own = any(spec.urls == addresses(each, len(spec.urls)) for each in job.models)
    return OF_PROTOCOL[spec.protocol] if own or all(map(_is_this_machine, spec.urls)) else Server.EXTERNAL


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if re.fullmatch(r"(.*\.)?localhost", host):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _fault(model: Served) -> str | None:
    field = f"models.{model.name}"
    if model.server is Server.EXTERNAL:
        local = [url for url in model.spec.urls if _is_this_machine(url)]
        return f"{field}.endpoints: {local[0]} is this machine, which no pod reaches by that name" if local else None
    if model.server is Server.VLLM and model.spec.protocol is Protocol.TGI:
        return f"{field}.protocol: vLLM does not speak tgi; write openai, or choose --server {model.name}=tgi"
    if model.spec.model is None:
        return (
            f"{field}.model: it is not said which weights to serve; write the hub's name of them, "
            f"or choose --server {model.name}=external"
        )
    return None
