"""How much there is of everything, counted as it is written."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0006_totals.sql"
COUNTED = ("generations", "instructions", "instances", "candidates", "verdicts", "examples")
DELETED = ("instances", "candidates", "verdicts")


def _generation_totals() -> None:
    op.create_table(
        "generation_totals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("backend", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("latency_s", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_generation_totals_run_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_generation_totals_model_id")),
        sa.ForeignKeyConstraint(
            ["template_id"], ["prompt_templates.id"], name=op.f("fk_generation_totals_template_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation_totals")),
        sa.UniqueConstraint(
            *("run_id", "backend", "stage", "task_type", "model_id", "template_id", "fault"),
            name="uq_generation_totals",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(op.f("ix_generation_totals_model_id"), "generation_totals", ["model_id"])
    op.create_index(op.f("ix_generation_totals_template_id"), "generation_totals", ["template_id"])


def _record_totals() -> None:
    op.create_table(
        "record_totals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("backend", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("judgement_id", sa.Uuid(), nullable=True),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("voice", sa.Text(), nullable=True),
        sa.Column("model_id", sa.Uuid(), nullable=True),
        sa.Column("template_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_record_totals_run_id")),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name=op.f("fk_record_totals_judgement_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_record_totals_model_id")),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_templates.id"], name=op.f("fk_record_totals_template_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_record_totals")),
        sa.UniqueConstraint(
            *("run_id", "backend", "kind", "judgement_id", "task_type", "voice", "model_id", "template_id"),
            *("state", "reason"),
            name="uq_record_totals",
            postgresql_nulls_not_distinct=True,
        ),
    )
    for column in ("judgement_id", "model_id", "template_id"):
        op.create_index(op.f(f"ix_record_totals_{column}"), "record_totals", [column])


def _seed_totals() -> None:
    op.create_table(
        "seed_totals",
        sa.Column("judgement_id", sa.Uuid(), nullable=False),
        sa.Column("seed_task_id", sa.Uuid(), nullable=False),
        sa.Column("examples", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name=op.f("fk_seed_totals_judgement_id")),
        sa.ForeignKeyConstraint(["seed_task_id"], ["seed_tasks.id"], name=op.f("fk_seed_totals_seed_task_id")),
        sa.PrimaryKeyConstraint("judgement_id", "seed_task_id", name=op.f("pk_seed_totals")),
    )
    op.create_index(op.f("ix_seed_totals_seed_task_id"), "seed_totals", ["seed_task_id"])


def upgrade() -> None:
    """Make the tables and triggers, and count what is there."""
    _generation_totals()
    _record_totals()
    _seed_totals()
    op.get_bind().exec_driver_sql(SQL.read_text())


def downgrade() -> None:
    """Drop them."""
    for table in COUNTED:
        op.execute(f"DROP TRIGGER count_{table} ON {table}")
    for table in DELETED:
        op.execute(f"DROP TRIGGER uncount_{table} ON {table}")
    op.execute("DROP TRIGGER recount_examples ON examples")
    for table in COUNTED:
        op.execute(f"DROP FUNCTION count_{table}()")
    op.execute("DROP FUNCTION recount_examples()")
    op.execute("DROP FUNCTION add_examples(uuid[], boolean, integer)")
    op.execute("DROP FUNCTION add_to_totals(record_group[], integer)")
    op.execute("DROP TYPE record_group")
    for table in ("seed_totals", "record_totals", "generation_totals"):
        op.drop_table(table)
