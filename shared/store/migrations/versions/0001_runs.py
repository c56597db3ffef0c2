"""Runs, and what they begin with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _prompt_templates() -> None:
    op.create_table(
        "prompt_templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "stage IN ('instruction', 'instance', 'output', 'consensus')", name=op.f("ck_prompt_templates_stage")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_templates")),
        sa.UniqueConstraint("sha256", name=op.f("uq_prompt_templates_sha256")),
    )
    op.create_index(op.f("ix_prompt_templates_name"), "prompt_templates", ["name"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("job", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active_s", sa.Float(), server_default="0", nullable=False),
        sa.Column("active_since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'completed', 'spent', 'cancelled', 'failed')", name=op.f("ck_runs_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("name", name=op.f("uq_runs_name")),
    )
    op.create_index(op.f("ix_runs_state"), "runs", ["state"], postgresql_where="state = 'running'")


def _seed_tasks() -> None:
    op.create_table(
        "seed_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("instruction", sa.Text(), nullable=False),
        sa.Column("instances", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_classification", sa.Boolean(), nullable=False),
        sa.CheckConstraint("task_type IN ('input_output', 'output_only')", name=op.f("ck_seed_tasks_task_type")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seed_tasks")),
    )
    op.create_index(op.f("ix_seed_tasks_source_id"), "seed_tasks", ["source_id"])


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("served_model", sa.Text(), nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_models_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("run_id", "name", name=op.f("uq_models_run_id_name")),
    )


def _servers() -> None:
    op.create_table(
        "servers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("served_model", sa.Text(), nullable=True),
        sa.Column("model_revision", sa.Text(), nullable=True),
        sa.Column("server_version", sa.Text(), nullable=True),
        sa.Column("max_input_tokens", sa.Integer(), nullable=True),
        sa.Column("max_total_tokens", sa.Integer(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_servers_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_servers")),
    )
    op.create_index(op.f("ix_servers_model_id"), "servers", ["model_id"])


def _run_prompts() -> None:
    op.create_table(
        "run_prompts",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_prompts_run_id")),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_templates.id"], name=op.f("fk_run_prompts_template_id")),
        sa.PrimaryKeyConstraint("run_id", "template_id", name=op.f("pk_run_prompts")),
    )
    op.create_index(op.f("ix_run_prompts_template_id"), "run_prompts", ["template_id"])


def _run_seeds() -> None:
    op.create_table(
        "run_seeds",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("seed_task_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_seeds_run_id")),
        sa.ForeignKeyConstraint(["seed_task_id"], ["seed_tasks.id"], name=op.f("fk_run_seeds_seed_task_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_seeds")),
    )
    op.create_index(op.f("ix_run_seeds_seed_task_id"), "run_seeds", ["seed_task_id"])


def _run_targets() -> None:
    op.create_table(
        "run_targets",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("proposed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("gated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("accepted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("concluded", sa.Integer(), server_default="0", nullable=False),
        sa.Column("examples", sa.Integer(), server_default="0", nullable=False),
        sa.Column("gated_at_last_example", sa.Integer(), server_default="0", nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("task_type IN ('input_output', 'output_only')", name=op.f("ck_run_targets_task_type")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_targets_run_id")),
        sa.PrimaryKeyConstraint("run_id", "task_type", name=op.f("pk_run_targets")),
    )


def _run_spending() -> None:
    op.create_table(
        "run_spending",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("generations", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_spending_run_id")),
        sa.PrimaryKeyConstraint("run_id", "worker", name=op.f("pk_run_spending")),
    )


def upgrade() -> None:
    """Make the tables."""
    _prompt_templates()
    _runs()
    _seed_tasks()
    _models()
    _servers()
    _run_prompts()
    _run_seeds()
    _run_targets()
    _run_spending()


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "run_spending",
        "run_targets",
        "run_seeds",
        "run_prompts",
        "servers",
        "models",
        "seed_tasks",
        "runs",
        "prompt_templates",
    ):
        op.drop_table(table)
