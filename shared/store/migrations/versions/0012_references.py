"""What a record belongs to is checked where it is counted."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql" / "0012_references.sql"
REFERENCES = {
    "generations": {"run_id": "runs", "model_id": "models", "template_id": "prompt_templates"},
    "instructions": {"run_id": "runs"},
    "instances": {"run_id": "runs"},
    "candidates": {"run_id": "runs"},
    "verdicts": {"run_id": "runs", "judgement_id": "judgements"},
    "examples": {"run_id": "runs", "judgement_id": "judgements"},
}
LOOKING_UP = (
    "check_demonstrations()",
    *(f"count_{table}()" for table in ("instructions", "instances", "candidates", "verdicts")),
    "add_examples(uuid[], boolean, integer)",
)


def upgrade() -> None:
    """Drop the foreign keys that the totals' stand in for."""
    op.get_bind().exec_driver_sql(SQL.read_text())


def downgrade() -> None:
    """Make them again."""
    for function in LOOKING_UP:
        op.execute(f"ALTER FUNCTION {function} RESET ALL")
    for table, columns in REFERENCES.items():
        op.execute(f"DROP TRIGGER refuse_other_owner ON {table}")
        for column, parent in columns.items():
            op.create_foreign_key(op.f(f"fk_{table}_{column}"), table, parent, [column], ["id"])
    op.execute("DROP FUNCTION refuse_other_owner()")
