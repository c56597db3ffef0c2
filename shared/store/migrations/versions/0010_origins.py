"""Records that were made elsewhere, with the files that they came from."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
IMPORTED = ("instructions", "instances", "candidates")
REPLACED = ("instructions", "instances", "candidates", "edges")
KINDS = "kind IN ('seed_task', 'model', 'prompt_template', 'instruction', 'example')"


def _origins() -> None:
    op.create_table(
        "origin_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("voice", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_origin_files_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_origin_files")),
        sa.UniqueConstraint("run_id", "number", name=op.f("uq_origin_files_run_id_number")),
    )
    op.create_index(op.f("ix_origin_files_name"), "origin_files", ["name"])
    op.create_table(
        "origins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("record", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["origin_files.id"], name=op.f("fk_origins_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_origins")),
        sa.UniqueConstraint("file_id", "number", name=op.f("uq_origins_file_id_number")),
    )


def _imported(table: str, one: str) -> None:
    op.add_column(table, sa.Column("origin_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f(f"fk_{table}_origin_id"), table, "origins", ["origin_id"], ["id"])
    op.create_check_constraint(op.f(f"ck_{table}_origin"), table, f"num_nonnulls(generation_id, origin_id) {one}")
    op.create_index(f"ix_{table}_origin_id", table, ["origin_id"], postgresql_where="origin_id IS NOT NULL")


def upgrade() -> None:
    """Make the tables, and let instructions, instances and candidates come from them."""
    _origins()
    op.alter_column("instructions", "generation_id", nullable=True)
    for table in IMPORTED:
        _imported(table, "= 1" if table == "instructions" else "<= 1")
    op.get_bind().exec_driver_sql((SQL / "0010_origins.sql").read_text())


def downgrade() -> None:
    """Drop them, if nothing was imported, and make the views and functions as they were."""
    for view in ("origins", "origin_files", *REPLACED):
        op.execute(f"DROP VIEW lineage.{view}")
    for function in ("ancestors", "descendants"):
        op.execute(f"DROP FUNCTION lineage.{function}(text, uuid)")
    for table in IMPORTED:
        op.drop_constraint(f"ck_{table}_origin", table)
        op.drop_column(table, "origin_id")
    op.alter_column("instructions", "generation_id", nullable=False)
    op.drop_table("origins")
    op.drop_table("origin_files")
    op.drop_constraint("ck_retractions_kind", "retractions")
    op.create_check_constraint(op.f("ck_retractions_kind"), "retractions", KINDS)
    _restore()


def _restore() -> None:
    names = ("0003_lineage", "0007_lineage", "0008_retractions")
    first, later, retractions = ((SQL / f"{name}.sql").read_text() for name in names)
    as_it_was = (
        _part(first, "CREATE VIEW lineage.candidates", "COMMENT ON COLUMN lineage.candidates.chosen"),
        _part(first, "CREATE VIEW lineage.edges", "CREATE FUNCTION lineage.ancestors"),
        _part(later, "-- Both functions go breadth first", "CREATE VIEW lineage.runs"),
        _part(later, "CREATE VIEW lineage.instructions", "CREATE VIEW lineage.usage"),
        _part(retractions, "CREATE OR REPLACE FUNCTION lineage.descendants", "CREATE VIEW lineage.retractions"),
        _part(retractions, "CREATE OR REPLACE VIEW lineage.instructions", "GRANT"),
        later[later.index("DO $$") :],  # a word on every column, and who may read
    )
    for statements in as_it_was:
        op.get_bind().exec_driver_sql(statements)


def _part(text: str, begin: str, end: str) -> str:
    return text[text.index(begin) : text.index(end)]
