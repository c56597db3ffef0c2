"""An export keeps what its dataset card tells."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Add the column, and show it."""
    op.add_column("exports", sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.get_bind().exec_driver_sql((SQL / "0014_export_facts.sql").read_text())


def downgrade() -> None:
    """Make the view as it was, and drop the column."""
    op.execute("DROP VIEW lineage.exports")
    before = (SQL / "0009_exports.sql").read_text()
    begin, end = before.index("CREATE VIEW lineage.exports"), before.index("CREATE VIEW lineage.export_rows")
    op.get_bind().exec_driver_sql(before[begin:end])
    op.execute("GRANT SELECT ON lineage.exports TO dataset_reader")
    op.drop_column("exports", "facts")
