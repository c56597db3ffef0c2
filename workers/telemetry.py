"""What a worker process shows of itself, put together: probes and metrics on an address."""

from threading import Thread

import structlog
from celery import Celery
from prometheus_client import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from shared.settings import Address
from shared.store.session import make_engine, make_sessions
from shared.telemetry.metrics import COUNTED
from shared.telemetry.site import HealthSite
from workers.probes import Probes
from workers.run_metrics import RunMetrics
from workers.runtime import Runtime
from workers.window_metrics import WindowMetrics

log = structlog.get_logger()


class Telemetry:
    """Answers `/healthz`, `/readyz` and `/metrics` for as long as the process lives.

    It asks Postgres on connections of its own, two at most, so that it gets an answer when all others are busy.
    """

    def __init__(self, runtime: Runtime, app: Celery, database_url: str, address: Address) -> None:
        """Begin to answer. Raises `HealthAddressTakenError`."""
        self._engine = make_engine(database_url, pool_size=1)
        self._registry = CollectorRegistry(auto_describe=True)
        self._registry.register(COUNTED)
        self._registry.register(WindowMetrics(runtime))
        ProcessCollector(registry=self._registry)
        self.probes = Probes(runtime, app, self._engine)
        self.site = HealthSite(address, alive=self.probes.alive, ready=self.probes.ready, metrics=self._registry)

    def ready_with(self, *reconcilers: Thread) -> None:
        """The worker takes work; one that reconciles tells of runs, too."""
        if reconcilers:
            self._registry.register(RunMetrics(make_sessions(self._engine)))
        self.probes.ready_with(*reconcilers)
        log.info("health is told", address=str(self.site.address))

    def close(self) -> None:
        """Answer no more."""
        self.site.close()
        self._engine.dispose()
