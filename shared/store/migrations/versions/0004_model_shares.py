"""How workers share a model's window of calls."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of shares."""
    op.create_table(
        "model_shares",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("pool", sa.Uuid(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("wanted", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_model_shares_run_id")),
        sa.PrimaryKeyConstraint("run_id", "model", "worker", name=op.f("pk_model_shares")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("model_shares")
