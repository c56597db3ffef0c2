"""Serve a GGUF model over OpenAI's protocol: `python -m services.local.llama_server --model PATH --name NAME --port N`.

The server is llama.cpp's own: /v1/completions, /v1/chat/completions with the model's chat template, /v1/models,
/health, /metrics. At HEALTH_ADDRESS, if that is set, it also answers /healthz and /readyz.
"""

import sys

from services.local.engine import Engine, EngineSettings, argument_parser, leave_on_signal
from services.local.health import http_answers
from shared.errors import EnsembleInstructError
from shared.settings import settings
from shared.telemetry.site import HealthSite


def main() -> None:
    """Serve until SIGTERM."""
    arguments = argument_parser(__doc__).parse_args()
    try:
        where = settings().health_address
        engine = Engine(EngineSettings.from_arguments(arguments))
        site = where and HealthSite(where, alive=list, ready=lambda: _unready(engine))
    except EnsembleInstructError as error:
        sys.exit(str(error))
    print(f"{arguments.name} at {engine.address}", file=sys.stderr)
    if site:
        print(f"its health at http://{site.address}", file=sys.stderr)
    leave_on_signal()


def _unready(engine: Engine) -> list[str]:
    return [] if http_answers(f"{engine.address}/health") else ["the model does not answer"]


if __name__ == "__main__":
    main()
