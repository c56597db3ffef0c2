"""What a call's rows cost to write: fewer entries in indexes, fewer keys looked up, quicker compression."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
SUBJECTS = ("instruction_id", "instance_id")
LZ4 = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"


def upgrade() -> None:
    """Change indexes and functions; prompts are compressed by lz4 from now on, where the server knows it.

    Tables are locked in the order in which those who ask for records read them, and the new indexes are there before
    the old ones go, so that others are kept waiting for writing while they are made, and for reading only at the end.
    """
    connection = op.get_bind()
    if connection.exec_driver_sql(LZ4).scalar():
        op.execute("ALTER TABLE generations ALTER COLUMN prompt SET COMPRESSION lz4")
    op.execute("ALTER TABLE instances SET (fillfactor = 60)")
    connection.exec_driver_sql((SQL / "0015_cheaper_writes.sql").read_text())
    for column in SUBJECTS:
        where = f"{column} IS NOT NULL"
        op.create_index(f"ix_work_items_some_{column}", "work_items", [column], postgresql_where=where)
    for column in SUBJECTS:
        op.drop_index(f"ix_work_items_{column}", "work_items")
        op.execute(f"ALTER INDEX ix_work_items_some_{column} RENAME TO ix_work_items_{column}")


def downgrade() -> None:
    """Make them as they were; what is compressed stays so."""
    for column in SUBJECTS:
        op.drop_index(f"ix_work_items_{column}", "work_items")
        op.create_index(f"ix_work_items_{column}", "work_items", [column])
    op.execute("ALTER TABLE instances RESET (fillfactor)")
    op.execute("ALTER TABLE generations ALTER COLUMN prompt SET COMPRESSION default")
    first, later = ((SQL / f"{name}.sql").read_text() for name in ("0006_totals", "0012_references"))
    check = _part(later, "CREATE OR REPLACE FUNCTION check_demonstrations", "-- A statement's rows are few")
    add = _part(first, "CREATE FUNCTION add_examples", "CREATE FUNCTION count_examples")
    connection = op.get_bind()
    connection.exec_driver_sql(check)
    connection.exec_driver_sql(add.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    connection.exec_driver_sql(_part(later, "ALTER FUNCTION check_demonstrations", "ALTER FUNCTION count_instructions"))
    connection.exec_driver_sql(later[later.index("ALTER FUNCTION add_examples") :])


def _part(text: str, begin: str, end: str) -> str:
    return text[text.index(begin) : text.index(end)]
