"""How Alembic reaches the database: through the engine that `shared.store.migrate` hands over."""

from alembic import context
from sqlalchemy import Engine, text

from shared.store.tables import Base

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "10min"


def run(engine: Engine) -> None:
    """Migrate in one transaction; two processes that migrate at once take turns."""
    with engine.connect() as connection, connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('ensemble-instruct.migrate', 0))"))
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()


run(context.config.attributes["engine"])
