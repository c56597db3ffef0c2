"""Serve one of the embedded stack's LMs by itself: `python -m services.local.serve gemma --port 8080`."""

import argparse
import os
import sys

from services.local.home import Home
from services.local.language_models import MODELS, ServedModel
from services.local.ports import HOST
from services.local.weights import obtain
from shared.errors import EnsembleInstructError

BY_NAME: dict[str, ServedModel] = {model.names[0]: model for model in MODELS}


def main() -> None:
    """Join the weights if need be, then become the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(BY_NAME))
    parser.add_argument("--host", default=HOST, help=f"the address to listen on, by default {HOST}: this machine alone")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    model = BY_NAME[arguments.model]
    try:
        path = obtain(model.weights, Home.find().weights, lambda line: print(line, file=sys.stderr))
    except EnsembleInstructError as error:
        sys.exit(f"error: {error}")
    command = model.command(path, arguments.port, arguments.host)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
