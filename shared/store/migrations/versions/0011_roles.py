"""Roles with no more rights than they need, for workers, for a person's commands and for the autoscaler."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0011_roles.sql"


def upgrade() -> None:
    """Make the roles if need be, and give them their rights."""
    op.get_bind().exec_driver_sql(SQL.read_text())


def downgrade() -> None:
    """Take the rights away; the roles may serve other databases, so they stay."""
    op.execute("REVOKE SELECT (id, state) ON runs FROM ensemble_scaler")
    op.execute("REVOKE SELECT (run_id, queue, state) ON work_items FROM ensemble_scaler")
    op.execute("REVOKE USAGE ON SCHEMA public FROM ensemble_scaler")
    for role in ("ensemble_worker", "ensemble_operator"):
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
        op.execute(f"REVOKE USAGE ON SCHEMA public, lineage FROM {role}")
