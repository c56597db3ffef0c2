"""Serve a GGUF model over OpenAI's protocol: `python -m services.local.llama_server --model PATH --name NAME --port N`.

The server is llama.cpp's own: /v1/completions, /v1/chat/completions with the model's chat template, /v1/models,
/health, /metrics.
"""

import sys

from services.local.engine import Engine, EngineSettings, argument_parser, leave_on_signal
from shared.errors import EnsembleInstructError


def main() -> None:
    """Serve until SIGTERM."""
    arguments = argument_parser(__doc__).parse_args()
    try:
        engine = Engine(EngineSettings.from_arguments(arguments))
    except EnsembleInstructError as error:
        sys.exit(str(error))
    print(f"{arguments.name} at {engine.address}", file=sys.stderr)
    leave_on_signal()


if __name__ == "__main__":
    main()
