"""The fake LM server as a process of its own."""

import json
import sys
from pathlib import Path
from urllib.request import urlopen

from services.local.processes import Child
from shared.lm.fake import USAGE
from shared.lm.fake_usage import Usage

START_TIMEOUT_S = 30.0


class FakeLM:
    """A fake LM that takes `latency_s` ± the share `spread` of it for an answer."""

    def __init__(self, log: Path, latency_s: float, spread: float) -> None:
        self._log = log
        options = ["--latency", str(latency_s), "--spread", str(spread)]
        self.child = Child.start("the fake LM", [sys.executable, "-m", "shared.lm.fake", *options], log=log)

    def wait(self) -> str:
        """Its URL, once it serves. Raises NotReady."""
        self.child.wait_ready(lambda: bool(self._url()), START_TIMEOUT_S)
        return self._url()

    def usage(self) -> Usage:
        """How busy it was until now."""
        with urlopen(self._url() + USAGE, timeout=10) as response:  # noqa: S310 - an address of our own
            return Usage(**json.load(response))

    def _url(self) -> str:
        lines = self._log.read_text().splitlines(keepends=True)
        return next((line.strip() for line in lines if line.startswith("http://") and line.endswith("\n")), "")
