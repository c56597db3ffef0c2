"""The Celery application as Flower watches it: `celery -A services.flower flower`."""

import sys

from celery import Celery

from shared.errors import EnsembleInstructError
from shared.queue.app import app_from_environment

try:
    app: Celery = app_from_environment()
except EnsembleInstructError as error:
    sys.exit(f"error: {error}")  # or Celery shows the traceback of a failed import
