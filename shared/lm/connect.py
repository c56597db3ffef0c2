"""From a job's model to something that answers."""

import os
from collections.abc import Mapping

from shared.job import ModelSpec, Protocol
from shared.lm.api_key import ApiKey
from shared.lm.endpoint import Endpoint, ProtocolClient
from shared.lm.endpoints import Endpoints
from shared.lm.http import Connections, JsonClient
from shared.lm.openai import OpenAIClient
from shared.lm.protocol import LanguageModel


def connect(spec: ModelSpec, environ: Mapping[str, str] = os.environ) -> LanguageModel:
    """A client for the servers of `spec`. Nothing is asked of them yet.

    A key that `environ` should hold and doesn't is told by the first call, as `Misconfigured`.
    """
    key = ApiKey.from_environment(spec.api_key_env, environ)
    clients = [_client(spec, url, key) for url in spec.urls]
    return Endpoints([Endpoint(client, key, spec.timeout_s, spec.max_in_flight) for client in clients])


def _client(spec: ModelSpec, url: str, key: ApiKey) -> ProtocolClient:
    connections = Connections(url, spec.timeout_s)
    if spec.protocol is Protocol.TGI:
        from shared.lm.tgi import TGIClient  # huggingface-hub is a fifth of a worker's start, if any model needs it

        return TGIClient(connections, url, spec.model, key)
    return OpenAIClient(JsonClient(connections, url, key), url, spec.model)
