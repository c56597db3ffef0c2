"""Write `.env` for docker compose, with random passwords; one that is there stays as it is."""

import os
import secrets
import sys
from pathlib import Path

SECRETS = (
    "POSTGRES_PASSWORD",
    "WORKER_PASSWORD",
    "OPERATOR_PASSWORD",
    "READER_PASSWORD",
    "REDIS_PASSWORD",
    "FLOWER_PASSWORD",
    "GRAFANA_PASSWORD",
)
BYTES = 24


def content() -> str:
    """The file's text: letters and digits only, so that passwords can stand in addresses as they are."""
    lines = [f"{name}={secrets.token_hex(BYTES)}" for name in SECRETS]
    return "\n".join(
        [*lines, "# for the profile gpu: lets TGI and vLLM fetch gated weights from the hub", "HF_TOKEN=", ""]
    )


def main() -> None:
    """Write it where only its owner may read it."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{path} is there already and holds passwords in use; remove it yourself if it is to be made anew")
    with os.fdopen(descriptor, "w") as file:
        file.write(content())
    print(f"{path} is there now, with {len(SECRETS)} random passwords", file=sys.stderr)


if __name__ == "__main__":
    main()
