"""The lineage schema in both directions, with distances, totals, and a word on every column."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

VIEWS = (
    *("seed_influence", "funnel", "yields", "usage"),
    *("instances", "instructions", "prompt_templates", "servers", "models", "runs"),
)
SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Make the functions and views."""
    op.get_bind().exec_driver_sql((SQL / "0007_lineage.sql").read_text())


def downgrade() -> None:
    """Drop them, and make the function as it was."""
    for view in VIEWS:
        op.execute(f"DROP VIEW lineage.{view}")
    op.execute("DROP FUNCTION lineage.descendants(text, uuid)")
    op.execute("DROP FUNCTION lineage.ancestors(text, uuid)")
    before = (SQL / "0003_lineage.sql").read_text()
    begin, end = (
        before.index("CREATE FUNCTION lineage.ancestors"),
        before.index("COMMENT ON FUNCTION lineage.ancestors"),
    )
    op.get_bind().exec_driver_sql(before[begin:end])
