"""Exports as records, and how far an example's output agrees with the others."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
REASONS = "'retracted', 'where', 'licence', 'agreement', 'contaminated', 'limit'"
JSONB = postgresql.JSONB(astext_type=sa.Text())


def _exports() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("left_out", JSONB, nullable=False),
        sa.Column("files", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_table(
        "export_judgements",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("judgement_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_judgements_export_id")),
        sa.ForeignKeyConstraint(["judgement_id"], ["judgements.id"], name=op.f("fk_export_judgements_judgement_id")),
        sa.PrimaryKeyConstraint("export_id", "place", name=op.f("pk_export_judgements")),
        sa.UniqueConstraint("judgement_id", "export_id", name=op.f("uq_export_judgements_judgement_id_export_id")),
    )


def _rows() -> None:
    op.create_table(
        "export_rows",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("example_id", sa.Uuid(), nullable=False),
        sa.Column("split", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_rows_export_id")),
        sa.ForeignKeyConstraint(["example_id"], ["examples.id"], name=op.f("fk_export_rows_example_id")),
        sa.PrimaryKeyConstraint("export_id", "place", name=op.f("pk_export_rows")),
        sa.UniqueConstraint("example_id", "export_id", name=op.f("uq_export_rows_example_id_export_id")),
    )
    op.create_table(
        "export_exclusions",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("example_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", JSONB, nullable=True),
        sa.CheckConstraint(f"reason IN ({REASONS})", name=op.f("ck_export_exclusions_reason")),
        sa.ForeignKeyConstraint(["export_id"], ["exports.id"], name=op.f("fk_export_exclusions_export_id")),
        sa.ForeignKeyConstraint(["example_id"], ["examples.id"], name=op.f("fk_export_exclusions_example_id")),
        sa.PrimaryKeyConstraint("export_id", "example_id", name=op.f("pk_export_exclusions")),
    )
    op.create_index(op.f("ix_export_exclusions_example_id"), "export_exclusions", ["example_id"])


def upgrade() -> None:
    """Make the tables and views."""
    _exports()
    _rows()
    op.get_bind().exec_driver_sql((SQL / "0009_exports.sql").read_text())


def downgrade() -> None:
    """Drop them, and make the view of the examples as it was."""
    for view in ("export_exclusions", "export_rows", "exports", "examples"):
        op.execute(f"DROP VIEW lineage.{view}")
    op.execute("DROP FUNCTION lineage.comparable(text)")
    for table in ("export_exclusions", "export_rows", "export_judgements", "exports"):
        op.drop_table(table)
    before = (SQL / "0008_retractions.sql").read_text()
    begin = before.index("CREATE OR REPLACE VIEW lineage.examples")
    op.get_bind().exec_driver_sql(before[begin : before.index(";", begin) + 1])
    op.execute("GRANT SELECT ON lineage.examples TO dataset_reader")
