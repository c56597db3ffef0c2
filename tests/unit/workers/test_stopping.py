"""How long a worker takes to leave, by its own patience."""

from shared.method.pace import FLUSH_S
from shared.queue.app import make_app
from shared.settings import SETTLE_S
from workers import hinting, reconciler
from workers.patience import DATABASE_WAITS_S


def test_a_worker_has_left_within_the_time_that_kubernetes_adds_to_the_calls() -> None:
    writing_s = FLUSH_S + sum(DATABASE_WAITS_S)
    assert writing_s + reconciler.PATIENCE_S + hinting.PATIENCE_S <= SETTLE_S


def test_celery_itself_sets_no_limit() -> None:
    assert make_app("redis://127.0.0.1:1/0").conf.worker_soft_shutdown_timeout == 0
