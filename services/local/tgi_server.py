"""Serve a GGUF model over TGI's protocol: `python -m services.local.tgi_server --model PATH --name NAME --port N`.

What Hugging Face's Text Generation Inference publishes of `/generate`, `/info` and `/health`, with its limits and
refusals, over llama.cpp. Streaming, grammars, adapters and token likelihoods are left out. `/healthz` and `/readyz` are
as everywhere in this project: the process is alive; the model answers.
"""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from services.local.engine import Engine, EngineSettings, argument_parser, leave
from services.local.ports import HOST
from services.local.tgi_generate import Completer, GenerationFailed, InvalidInput
from services.local.tgi_protocol import MAX_BEST_OF, MAX_STOP_SEQUENCES, GenerateRequest, Limits, fault_in
from shared.errors import EnsembleInstructError

VERSION = "3.3.6-dev0"  # of the interface
GONE_CHECK_S = 0.25
CLIENT_GONE = 499  # nobody reads it
T = TypeVar("T")


class ClientGone(Exception):
    """Whoever asked no longer listens."""


class Server:
    """The endpoints' state: how many requests are in, and the slots they wait for."""

    def __init__(self, completer: Completer, limits: Limits, info: dict[str, Any], parallel: int, most: int) -> None:
        self.completer, self.limits, self.info = completer, limits, info
        self.most, self.inside = most, 0
        # No more than the engine has slots for: the rest wait here, where they hold none of its HTTP threads.
        self.slots = asyncio.Semaphore(parallel)

    async def generate(self, asked: GenerateRequest, request: Request) -> Response:
        """One request from permit to answer, in TGI's order: overload comes before validation."""
        if self.inside >= self.most:
            return refusal(429, "Model is overloaded", "overloaded")
        self.inside += 1
        try:
            return await self._permitted(asked, request)
        finally:
            self.inside -= 1

    async def _permitted(self, asked: GenerateRequest, request: Request) -> Response:
        if fault := fault_in(asked, self.limits):
            return refusal(422, f"Input validation error: {fault}", "validation")
        try:
            generated = await unless_gone(request, self._in_a_slot(asked))
        except InvalidInput as error:
            return refusal(422, f"Input validation error: {error}", "validation")
        except GenerationFailed as error:
            return refusal(424, f"Request failed during generation: {error}", "generation")
        except asyncio.CancelledError:  # the server is closing
            return refusal(500, "Incomplete generation", "incomplete_generation")
        except ClientGone:
            return Response(status_code=CLIENT_GONE)
        counts = {"prompt": generated.prompt_tokens, "generated": generated.generated_tokens}
        headers = {f"x-{name}-tokens": str(count) for name, count in counts.items()}
        return JSONResponse(generated.body, headers=headers)

    async def _in_a_slot(self, asked: GenerateRequest) -> Any:
        async with self.slots:
            return await self.completer.generate(asked)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; it is cancelled, which frees its slot, when the client hangs up; raises ClientGone."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=GONE_CHECK_S))[0]:
            if await request.is_disconnected():
                raise ClientGone
        return task.result()
    finally:
        task.cancel()


def refusal(status: int, error: str, error_type: str) -> JSONResponse:
    """An error in TGI's form."""
    return JSONResponse({"error": error, "error_type": error_type}, status_code=status)


def application(server: Server) -> FastAPI:
    """The endpoints."""
    app = FastAPI(title="Text Generation Inference", version=VERSION)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        """TGI's web framework refuses a body of the wrong shape with plain text."""
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        message = f"Failed to deserialize the JSON body into the target type: {where}: {first['msg']}"
        return PlainTextResponse(message, status_code=422)

    @app.post("/generate")
    async def generate(asked: GenerateRequest, request: Request) -> Response:
        return await server.generate(asked, request)

    @app.get("/info")
    async def info() -> dict[str, Any]:
        return server.info

    @app.get("/health")
    @app.get("/readyz")
    async def health() -> Response:
        if await server.completer.healthy():
            return Response()
        return refusal(503, "unhealthy", "healthcheck")

    @app.get("/healthz")
    async def alive() -> Response:
        """The event loop turns; a model that is slow is none of its business."""
        return Response()

    return app


def info_of(settings: EngineSettings, limits: Limits, revision: str | None, most: int) -> dict[str, Any]:
    """The body of GET /info."""
    return {
        "model_id": settings.name,
        "model_sha": revision,
        "model_pipeline_tag": "text-generation",
        "max_concurrent_requests": most,
        "max_best_of": MAX_BEST_OF,
        "max_stop_sequences": MAX_STOP_SEQUENCES,
        "max_input_tokens": limits.max_input_tokens,
        "max_total_tokens": limits.max_total_tokens,
        "validation_workers": 1,
        "max_client_batch_size": 1,
        "router": "services.local.tgi_server",
        "version": VERSION,
        "sha": None,
        "docker_label": None,
    }


def main() -> None:
    """Serve until SIGTERM."""
    parser = argument_parser(__doc__)
    parser.add_argument("--revision", help="what /info gives as model_sha: the weights' sha256")
    parser.add_argument("--max-concurrent-requests", type=int, default=128, help="more are refused with 429")
    arguments = parser.parse_args()
    settings = EngineSettings.from_arguments(arguments)
    limits = Limits(max_input_tokens=settings.context - 1, max_total_tokens=settings.context)
    most = arguments.max_concurrent_requests
    try:
        engine = Engine(replace(settings, port=0, host=HOST))
    except EnsembleInstructError as error:
        sys.exit(str(error))
    completer = Completer(engine.address, limits)
    server = Server(completer, limits, info_of(settings, limits, arguments.revision, most), settings.parallel, most)
    serve(application(server), settings.host, settings.port)
    leave()


def serve(app: FastAPI, host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT; requests under way get a second."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises the signal again when it is done
    signal.signal(signal.SIGINT, lambda *_: None)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=1, access_log=False)


if __name__ == "__main__":
    main()
