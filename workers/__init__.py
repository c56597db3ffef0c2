"""The worker processes: one module per queue."""

import os

# A worker is one process. With these, prometheus-client would keep its counters in files, and a later process of the
# same id, as containers have, would go on from them.
for _name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    os.environ.pop(_name, None)
