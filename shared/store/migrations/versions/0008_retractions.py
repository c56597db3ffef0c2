"""Retractions: what was retracted and why, and a mark on every record that came of it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
MADE = ("generations", "instructions", "instances", "candidates", "verdicts", "examples", "servers")
DELETED = ("instances", "candidates", "verdicts")
KINDS = "kind IN ('seed_task', 'model', 'prompt_template', 'instruction', 'example')"


def _retractions() -> None:
    op.create_table(
        "retractions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("retracted_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("barrier", sa.BigInteger(), nullable=True),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(KINDS, name=op.f("ck_retractions_kind")),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by IS NULL)", name=op.f("ck_retractions_undone")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retractions")),
    )
    op.create_index("ix_retractions_live", "retractions", ["id"], postgresql_where="undone_at IS NULL")


def _roots_and_marks() -> None:
    op.create_table(
        "retraction_roots",
        sa.Column("retraction_id", sa.BigInteger(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["retraction_id"], ["retractions.id"], name=op.f("fk_retraction_roots_retraction_id")),
        sa.PrimaryKeyConstraint("retraction_id", "record_id", name=op.f("pk_retraction_roots")),
    )
    op.create_index(op.f("ix_retraction_roots_record_id"), "retraction_roots", ["record_id"])
    op.create_table(
        "retracted_records",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("retraction_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("distance", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "retraction_id", name=op.f("pk_retracted_records")),
    )
    op.create_index(op.f("ix_retracted_records_retraction_id_kind"), "retracted_records", ["retraction_id", "kind"])


def upgrade() -> None:
    """Make the tables, the triggers that mark what is made later, and the views."""
    _retractions()
    _roots_and_marks()
    op.get_bind().exec_driver_sql((SQL / "0008_retractions.sql").read_text())


def downgrade() -> None:
    """Drop them, and make the views and the function as they were."""
    for view in ("retracted_records", "retractions", "instructions", "examples"):
        op.execute(f"DROP VIEW lineage.{view}")
    op.execute("DROP FUNCTION lineage.descendants(text, uuid)")
    for table in MADE:
        op.execute(f"DROP TRIGGER mark_{table} ON {table}")
    for table in DELETED:
        op.execute(f"DROP TRIGGER unmark_{table} ON {table}")
    for function in ("mark_made", "unmark_deleted"):
        op.execute(f"DROP FUNCTION {function}()")
    for table in ("retracted_records", "retraction_roots", "retractions"):
        op.drop_table(table)
    _restore()


def _restore() -> None:
    first, later = ((SQL / f"{name}.sql").read_text() for name in ("0003_lineage", "0007_lineage"))
    as_it_was = (
        _part(first, "CREATE VIEW lineage.examples", "COMMENT ON COLUMN lineage.examples.judgement"),
        _part(later, "-- What was shown in a prompt, or compared", "CREATE VIEW lineage.runs"),
        _part(later, "CREATE VIEW lineage.instructions", "CREATE VIEW lineage.instances"),
        later[later.index("DO $$") :],  # a word on every column, and who may read
    )
    for statements in as_it_was:
        op.get_bind().exec_driver_sql(statements)


def _part(text: str, begin: str, end: str) -> str:
    return text[text.index(begin) : text.index(end)]
