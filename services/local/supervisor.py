"""Hold the embedded stack in the background: `python -m services.local.supervisor`.

It leaves the process that started it, tells each step on standard output, which it closes when all is up, and ends
everything on SIGTERM. What ends by itself meanwhile, it starts again.
"""

import os
import sys
import time
from collections.abc import Callable

from services.local.interruption import Terminated
from services.local.whole_stack import Stack
from shared.errors import EnsembleInstructError

WATCH_S = 2.0  # how often it looks whether all parts are there
AGAIN_S = 60.0  # for how long one that ended again waits for its next start


def main(make_stack: Callable[[Callable[[str], None]], Stack] = Stack) -> None:
    """Start the stack that `make_stack` makes with a place to report to, and hold it until SIGTERM."""
    if os.fork():
        os._exit(0)  # so that whoever started us need not wait for us in the end
    os.setsid()
    try:
        with make_stack(tell) as stack:
            hush()
            hold(stack)
    except EnsembleInstructError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except Terminated:
        tell("ended")


def tell(line: str) -> None:
    """Say it to whoever started us, if they still listen, and to the log."""
    print(line, file=sys.stderr, flush=True)
    try:
        print(line, flush=True)
    except BrokenPipeError:
        hush()


def hush() -> None:
    """Close standard output, for good."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def hold(stack: Stack) -> None:
    """Wait for a signal; start again what ends by itself, each part at most once a minute."""
    not_before: dict[str, float] = {}
    while True:
        time.sleep(WATCH_S)
        for name in stack.ended():
            if time.monotonic() >= not_before.get(name, 0.0):
                _start_again(stack, name)
                not_before[name] = time.monotonic() + AGAIN_S


def _start_again(stack: Stack, name: str) -> None:
    try:
        tell(f"{name} has ended by itself, and is started again; what it said is in {stack.keep_log(name)}")
        stack.start_again(name)
    except Exception as error:  # whatever it is, the other parts go on
        tell(f"{name} was not started again: {error}")


if __name__ == "__main__":
    main()
