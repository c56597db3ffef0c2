"""Work, and the records that come of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _work_items() -> None:
    op.create_table(
        "work_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("voice", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("instruction_id", sa.Uuid(), nullable=True),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), server_default="ready", nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("timeouts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("overloads", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("earlier_tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("late", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint(
            "stage IN ('instruction', 'instance', 'output', 'consensus')", name=op.f("ck_work_items_stage")
        ),
        sa.CheckConstraint(
            "state IN ('ready', 'leased', 'done', 'failed', 'dropped')", name=op.f("ck_work_items_state")
        ),
        sa.CheckConstraint("task_type IN ('input_output', 'output_only')", name=op.f("ck_work_items_task_type")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_work_items_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_items")),
    )


def _work_items_indexes() -> None:
    op.create_index(op.f("ix_work_items_instance_id"), "work_items", ["instance_id"])
    op.create_index(op.f("ix_work_items_instruction_id"), "work_items", ["instruction_id"])
    op.create_index(
        "ix_work_items_lease_expiry",
        "work_items",
        ["lease_expires_at"],
        postgresql_where="state = 'leased'",
    )
    op.create_index("ix_work_items_leased", "work_items", ["run_id", "model"], postgresql_where="state = 'leased'")
    op.create_index("ix_work_items_order", "work_items", ["run_id", "task_type", "stage", "position"])
    op.create_index(
        "ix_work_items_ready",
        "work_items",
        ["run_id", "queue", "position"],
        postgresql_where="state = 'ready'",
    )
    op.create_index(
        "ix_work_items_suspect",
        "work_items",
        ["run_id", "queue", "position"],
        postgresql_where="state = 'ready' AND crashes >= 2",
    )
    op.create_index("ix_work_items_late", "work_items", ["run_id", "state"], postgresql_where="late")
    op.create_index("ix_work_items_dead", "work_items", ["run_id"], postgresql_where="state = 'failed'")
    op.create_index(
        "ix_work_items_ungated",
        "work_items",
        ["run_id", "task_type", "position"],
        postgresql_where="stage = 'instruction' AND NOT gated",
    )


def _generations() -> None:
    op.create_table(
        "generations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("server_id", sa.Uuid(), nullable=True),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("seed_task_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("instruction_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=True),
        sa.Column("completion_tokens", sa.Integer(), nullable=True),
        sa.Column("latency_s", sa.Double(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "stage IN ('instruction', 'instance', 'output', 'consensus')", name=op.f("ck_generations_stage")
        ),
        sa.CheckConstraint("(response IS NULL) <> (fault IS NULL)", name=op.f("ck_generations_response_or_fault")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_generations_model_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_generations_run_id")),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], name=op.f("fk_generations_server_id")),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_templates.id"], name=op.f("fk_generations_template_id")),
        sa.ForeignKeyConstraint(["work_item_id"], ["work_items.id"], name=op.f("fk_generations_work_item_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
        sa.UniqueConstraint("work_item_id", "attempt", name=op.f("uq_generations_work_item_id_attempt")),
    )
    op.create_index("ix_generations_instruction_ids", "generations", ["instruction_ids"], postgresql_using="gin")
    op.create_index(op.f("ix_generations_model_id"), "generations", ["model_id"])
    op.create_index(op.f("ix_generations_run_id_stage"), "generations", ["run_id", "stage"])
    op.create_index("ix_generations_seed_task_ids", "generations", ["seed_task_ids"], postgresql_using="gin")
    op.create_index(op.f("ix_generations_server_id"), "generations", ["server_id"])
    op.create_index(op.f("ix_generations_template_id"), "generations", ["template_id"])


def _instructions() -> None:
    op.create_table(
        "instructions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("accepted_order", sa.Integer(), nullable=True),
        sa.Column("max_similarity", sa.Double(), nullable=True),
        sa.Column("most_similar", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'accepted') = (accepted_order IS NOT NULL)", name=op.f("ck_instructions_accepted_order")
        ),
        sa.CheckConstraint("(state = 'accepted') = (reason IS NULL)", name=op.f("ck_instructions_reason")),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_instructions_state")),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_instructions_generation_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_instructions_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instructions")),
        sa.UniqueConstraint(
            "run_id", "task_type", "accepted_order", name=op.f("uq_instructions_run_id_task_type_accepted_order")
        ),
        sa.UniqueConstraint("run_id", "task_type", "position", name=op.f("uq_instructions_run_id_task_type_position")),
    )
    op.create_index(
        "ix_instructions_accepted",
        "instructions",
        ["run_id", "task_type", "position"],
        postgresql_where="state = 'accepted'",
    )
    op.create_index(op.f("ix_instructions_generation_id"), "instructions", ["generation_id"])


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("instruction_id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("pending_outputs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'accepted') = (reason IS NULL)", name=op.f("ck_instances_reason")),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_instances_state")),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_instances_generation_id")),
        sa.ForeignKeyConstraint(["instruction_id"], ["instructions.id"], name=op.f("fk_instances_instruction_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_instances_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("instruction_id", name=op.f("uq_instances_instruction_id")),
    )
    op.create_index(op.f("ix_instances_generation_id"), "instances", ["generation_id"])
    op.create_index(op.f("ix_instances_run_id_state"), "instances", ["run_id", "state"])


def _candidates() -> None:
    op.create_table(
        "candidates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("voice", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'accepted') = (reason IS NULL)", name=op.f("ck_candidates_reason")),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_candidates_state")),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_candidates_generation_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_candidates_instance_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_candidates_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidates")),
        sa.UniqueConstraint("instance_id", "number", name=op.f("uq_candidates_instance_id_number")),
    )
    op.create_index(op.f("ix_candidates_generation_id"), "candidates", ["generation_id"])
    op.create_index(op.f("ix_candidates_run_id"), "candidates", ["run_id"])


def _judgements() -> None:
    op.create_table(
        "judgements",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("min_candidates", sa.Integer(), nullable=False),
        sa.Column("weights", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("families", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_judgements_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgements")),
        sa.UniqueConstraint("run_id", "number", name=op.f("uq_judgements_run_id_number")),
    )


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("judgement_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("exact_match", sa.Boolean(), nullable=False),
        sa.Column("margin", sa.Double(), nullable=True),
        sa.Column("choice_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'accepted') = (choice_id IS NOT NULL)", name=op.f("ck_verdicts_choice")),
        sa.CheckConstraint("(state = 'accepted') = (reason IS NULL)", name=op.f("ck_verdicts_reason")),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_verdicts_state")),
        sa.ForeignKeyConstraint(["choice_id"], ["candidates.id"], name=op.f("fk_verdicts_choice_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_verdicts_instance_id")),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name=op.f("fk_verdicts_judgement_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_verdicts_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("judgement_id", "instance_id", name=op.f("uq_verdicts_judgement_id_instance_id")),
    )
    op.create_index(op.f("ix_verdicts_choice_id"), "verdicts", ["choice_id"])
    op.create_index(op.f("ix_verdicts_instance_id"), "verdicts", ["instance_id"])
    op.create_index(op.f("ix_verdicts_run_id"), "verdicts", ["run_id"])


def _examples() -> None:
    op.create_table(
        "examples",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("judgement_id", sa.Uuid(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("verdict_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_id", sa.Uuid(), nullable=False),
        sa.Column("instruction", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("surplus", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("task_type IN ('input_output', 'output_only')", name=op.f("ck_examples_task_type")),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidates.id"], name=op.f("fk_examples_candidate_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_examples_instance_id")),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name=op.f("fk_examples_judgement_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_examples_run_id")),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.id"], name=op.f("fk_examples_verdict_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_examples")),
        sa.UniqueConstraint(
            "judgement_id", "task_type", "position", name=op.f("uq_examples_judgement_id_task_type_position")
        ),
        sa.UniqueConstraint("verdict_id", name=op.f("uq_examples_verdict_id")),
    )
    op.create_index(op.f("ix_examples_candidate_id"), "examples", ["candidate_id"])
    op.create_index(op.f("ix_examples_instance_id"), "examples", ["instance_id"])
    op.create_index(op.f("ix_examples_run_id"), "examples", ["run_id"])


def upgrade() -> None:
    """Make the tables."""
    _work_items()
    _work_items_indexes()
    _generations()
    _instructions()
    _instances()
    _candidates()
    _judgements()
    _verdicts()
    _examples()
    op.create_foreign_key(
        op.f("fk_work_items_instruction_id"), "work_items", "instructions", ["instruction_id"], ["id"]
    )
    op.create_foreign_key(op.f("fk_work_items_instance_id"), "work_items", "instances", ["instance_id"], ["id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_constraint(op.f("fk_work_items_instruction_id"), "work_items")
    op.drop_constraint(op.f("fk_work_items_instance_id"), "work_items")
    for table in (
        "examples",
        "verdicts",
        "judgements",
        "candidates",
        "instances",
        "instructions",
        "generations",
        "work_items",
    ):
        op.drop_table(table)
