"""Ask a process of this machine whether it lives: `python -m shared.telemetry.probe [URL]`, exit 0 or 1.

Without a URL it asks `/healthz` at HEALTH_ADDRESS. A container's health check has nothing but Python to ask with.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def main() -> None:
    """Ask, and say in one line what is wrong."""
    port = os.environ.get("HEALTH_ADDRESS", "").rpartition(":")[2]
    url = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{port}/healthz"
    try:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        connection.request("GET", parts.path)
        status = connection.getresponse().status
    except (OSError, HTTPException, ValueError) as error:
        sys.exit(f"{url} does not answer: {error}")
    if status != 200:
        sys.exit(f"{url} answers with status {status}")


if __name__ == "__main__":
    main()
