"""The lineage schema, and the role that may read it."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0003_lineage.sql"


def upgrade() -> None:
    """Make the views, functions and grants."""
    op.get_bind().exec_driver_sql(SQL.read_text())


def downgrade() -> None:
    """Drop the views and functions; the role may serve other databases, so it stays."""
    op.execute("DROP SCHEMA lineage CASCADE")
    op.execute("DROP TRIGGER check_demonstrations ON generations")
    op.execute("DROP FUNCTION check_demonstrations()")
