"""How a model's servers are, as each worker sees them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of endpoints' states."""
    op.create_table(
        "endpoint_states",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("call_limit", sa.Integer(), nullable=False),
        sa.Column("ceiling", sa.Integer(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("failed_at", sa.DateTime(timezone=True)),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("fault", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name=op.f("ck_endpoint_states_state")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_endpoint_states_run_id")),
        sa.PrimaryKeyConstraint("run_id", "model", "endpoint", "worker", name=op.f("pk_endpoint_states")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("endpoint_states")
