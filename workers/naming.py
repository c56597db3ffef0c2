"""What log lines and spans call things."""

from shared.store.loading import RunContext


def of_run(context: RunContext) -> dict[str, str]:
    """A run's name and id."""
    return {"run": context.name, "run_id": str(context.run_id)}
