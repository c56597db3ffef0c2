"""The tables of runs, work and records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
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
    op.create_index(op.f("ix_prompt_templates_name"), "prompt_templates", ["name"], unique=False)
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
        sa.CheckConstraint("state IN ('running', 'completed', 'cancelled', 'failed')", name=op.f("ck_runs_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("name", name=op.f("uq_runs_name")),
    )
    op.create_index(op.f("ix_runs_state"), "runs", ["state"], unique=False, postgresql_where="state = 'running'")
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
    op.create_index(op.f("ix_seed_tasks_source_id"), "seed_tasks", ["source_id"], unique=False)
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
    op.create_table(
        "run_prompts",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_prompts_run_id")),
        sa.ForeignKeyConstraint(["template_id"], ["prompt_templates.id"], name=op.f("fk_run_prompts_template_id")),
        sa.PrimaryKeyConstraint("run_id", "template_id", name=op.f("pk_run_prompts")),
    )
    op.create_index(op.f("ix_run_prompts_template_id"), "run_prompts", ["template_id"], unique=False)
    op.create_table(
        "run_seeds",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("seed_task_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_seeds_run_id")),
        sa.ForeignKeyConstraint(["seed_task_id"], ["seed_tasks.id"], name=op.f("fk_run_seeds_seed_task_id")),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_seeds")),
    )
    op.create_index(op.f("ix_run_seeds_seed_task_id"), "run_seeds", ["seed_task_id"], unique=False)
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
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gated", sa.Boolean(), server_default="false", nullable=False),
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
    op.create_index(op.f("ix_work_items_instance_id"), "work_items", ["instance_id"], unique=False)
    op.create_index(op.f("ix_work_items_instruction_id"), "work_items", ["instruction_id"], unique=False)
    op.create_index(
        "ix_work_items_lease_expiry",
        "work_items",
        ["lease_expires_at"],
        unique=False,
        postgresql_where="state = 'leased'",
    )
    op.create_index(
        "ix_work_items_leased", "work_items", ["run_id", "model"], unique=False, postgresql_where="state = 'leased'"
    )
    op.create_index("ix_work_items_order", "work_items", ["run_id", "task_type", "stage", "position"], unique=False)
    op.create_index(
        "ix_work_items_ready",
        "work_items",
        ["run_id", "queue", "position"],
        unique=False,
        postgresql_where="state = 'ready'",
    )
    op.create_index(
        "ix_work_items_ungated",
        "work_items",
        ["run_id", "task_type", "position"],
        unique=False,
        postgresql_where="stage = 'instruction' AND NOT gated",
    )
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
    op.create_index(op.f("ix_servers_model_id"), "servers", ["model_id"], unique=False)
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
    op.create_index(
        "ix_generations_instruction_ids", "generations", ["instruction_ids"], unique=False, postgresql_using="gin"
    )
    op.create_index(op.f("ix_generations_model_id"), "generations", ["model_id"], unique=False)
    op.create_index(op.f("ix_generations_run_id_stage"), "generations", ["run_id", "stage"], unique=False)
    op.create_index(
        "ix_generations_seed_task_ids", "generations", ["seed_task_ids"], unique=False, postgresql_using="gin"
    )
    op.create_index(op.f("ix_generations_server_id"), "generations", ["server_id"], unique=False)
    op.create_index(op.f("ix_generations_template_id"), "generations", ["template_id"], unique=False)
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
        unique=False,
        postgresql_where="state = 'accepted'",
    )
    op.create_index(op.f("ix_instructions_generation_id"), "instructions", ["generation_id"], unique=False)
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
    op.create_index(op.f("ix_instances_generation_id"), "instances", ["generation_id"], unique=False)
    op.create_index(op.f("ix_instances_run_id_state"), "instances", ["run_id", "state"], unique=False)
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
    op.create_index(op.f("ix_candidates_generation_id"), "candidates", ["generation_id"], unique=False)
    op.create_index(op.f("ix_candidates_run_id"), "candidates", ["run_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("candidate_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("exact_match", sa.Boolean(), nullable=False),
        sa.Column("margin", sa.Double(), nullable=True),
        sa.Column("choice_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'accepted') = (reason IS NULL)", name=op.f("ck_verdicts_reason")),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_verdicts_state")),
        sa.ForeignKeyConstraint(["choice_id"], ["candidates.id"], name=op.f("fk_verdicts_choice_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name=op.f("fk_verdicts_instance_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_verdicts_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
        sa.UniqueConstraint("instance_id", name=op.f("uq_verdicts_instance_id")),
    )
    op.create_index(op.f("ix_verdicts_choice_id"), "verdicts", ["choice_id"], unique=False)
    op.create_index(op.f("ix_verdicts_run_id_state"), "verdicts", ["run_id", "state"], unique=False)
    op.create_table(
        "examples",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
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
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_examples_run_id")),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.id"], name=op.f("fk_examples_verdict_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_examples")),
        sa.UniqueConstraint("run_id", "task_type", "position", name=op.f("uq_examples_run_id_task_type_position")),
        sa.UniqueConstraint("verdict_id", name=op.f("uq_examples_verdict_id")),
    )
    op.create_index(op.f("ix_examples_candidate_id"), "examples", ["candidate_id"], unique=False)
    op.create_index(op.f("ix_examples_instance_id"), "examples", ["instance_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_work_items_instruction_id"), "work_items", "instructions", ["instruction_id"], ["id"]
    )
    op.create_foreign_key(op.f("fk_work_items_instance_id"), "work_items", "instances", ["instance_id"], ["id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_constraint(op.f("fk_work_items_instruction_id"), "work_items")
    op.drop_constraint(op.f("fk_work_items_instance_id"), "work_items")
    op.drop_index(op.f("ix_examples_instance_id"), table_name="examples")
    op.drop_index(op.f("ix_examples_candidate_id"), table_name="examples")
    op.drop_table("examples")
    op.drop_index(op.f("ix_verdicts_run_id_state"), table_name="verdicts")
    op.drop_index(op.f("ix_verdicts_choice_id"), table_name="verdicts")
    op.drop_table("verdicts")
    op.drop_index(op.f("ix_candidates_run_id"), table_name="candidates")
    op.drop_index(op.f("ix_candidates_generation_id"), table_name="candidates")
    op.drop_table("candidates")
    op.drop_index(op.f("ix_instances_run_id_state"), table_name="instances")
    op.drop_index(op.f("ix_instances_generation_id"), table_name="instances")
    op.drop_table("instances")
    op.drop_index(op.f("ix_instructions_generation_id"), table_name="instructions")
    op.drop_index("ix_instructions_accepted", table_name="instructions", postgresql_where="state = 'accepted'")
    op.drop_table("instructions")
    op.drop_index(op.f("ix_generations_template_id"), table_name="generations")
    op.drop_index(op.f("ix_generations_server_id"), table_name="generations")
    op.drop_index("ix_generations_seed_task_ids", table_name="generations", postgresql_using="gin")
    op.drop_index(op.f("ix_generations_run_id_stage"), table_name="generations")
    op.drop_index(op.f("ix_generations_model_id"), table_name="generations")
    op.drop_index("ix_generations_instruction_ids", table_name="generations", postgresql_using="gin")
    op.drop_table("generations")
    op.drop_index(op.f("ix_servers_model_id"), table_name="servers")
    op.drop_table("servers")
    op.drop_index(
        "ix_work_items_ungated", table_name="work_items", postgresql_where="stage = 'instruction' AND NOT gated"
    )
    op.drop_index("ix_work_items_ready", table_name="work_items", postgresql_where="state = 'ready'")
    op.drop_index("ix_work_items_order", table_name="work_items")
    op.drop_index("ix_work_items_leased", table_name="work_items", postgresql_where="state = 'leased'")
    op.drop_index("ix_work_items_lease_expiry", table_name="work_items", postgresql_where="state = 'leased'")
    op.drop_index(op.f("ix_work_items_instruction_id"), table_name="work_items")
    op.drop_index(op.f("ix_work_items_instance_id"), table_name="work_items")
    op.drop_table("work_items")
    op.drop_table("run_targets")
    op.drop_index(op.f("ix_run_seeds_seed_task_id"), table_name="run_seeds")
    op.drop_table("run_seeds")
    op.drop_index(op.f("ix_run_prompts_template_id"), table_name="run_prompts")
    op.drop_table("run_prompts")
    op.drop_table("models")
    op.drop_index(op.f("ix_seed_tasks_source_id"), table_name="seed_tasks")
    op.drop_table("seed_tasks")
    op.drop_index(op.f("ix_runs_state"), table_name="runs", postgresql_where="state = 'running'")
    op.drop_table("runs")
    op.drop_index(op.f("ix_prompt_templates_name"), table_name="prompt_templates")
    op.drop_table("prompt_templates")
