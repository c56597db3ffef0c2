"""How busy each of Celery's pools keeps the slots of an LM server, with our streams in it.

`python -m benchmarks.worker_pools [--slots 64] [--latency 1.0] [--seconds 20] [--out FILE]`

One real worker process on all queues, measured as `ensemble-instruct bench pipeline` does.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.admin.pipeline_figures import measure
from services.admin.pipeline_parts import QUEUES, Load
from services.local.worker_pools import WorkerPool

POOLS = {
    "threads -c 4": WorkerPool("threads-4", QUEUES, 4),
    "threads -c 1": WorkerPool("threads-1", QUEUES, 1),
    "solo": WorkerPool("solo", QUEUES, 1, pool="solo"),
}


def main() -> None:
    """Measure every pool in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    load = Load(arguments.slots, arguments.latency)
    figures = {}
    table = Table("pool", "busy slots", "calls/s")
    for name, pool in POOLS.items():
        measured = measure(load, [pool], arguments.seconds)
        figures[name] = {"busy": measured.busy, "calls_per_s": measured.calls_per_s}
        table.add_row(name, f"{measured.busy or 0:.1%}", f"{measured.calls_per_s:.0f}")
    Console().print(table)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
