"""What was exported, as somebody sees it who is nothing but a `dataset_reader`."""

from typing import Any

import psycopg

from tests.integration.admin.card_reading import Table

# What the card is about, as somebody would ask who may do nothing but read: the examples, the LM calls that wrote an
# instruction, an input or an output compared of one, and the words of each text.
VIEWS = r"""
    CREATE TEMP VIEW exported AS
    SELECT x.split, e.* FROM lineage.export_rows x JOIN lineage.examples e ON e.id = x.example_id;
    CREATE TEMP VIEW calls AS
    SELECT g.* FROM (
      SELECT i.generation_id FROM exported e JOIN lineage.instructions i ON i.id = e.instruction_id
      UNION SELECT n.generation_id FROM exported e JOIN lineage.instances n ON n.id = e.instance_id
      UNION SELECT c.generation_id FROM exported e JOIN lineage.verdicts v ON v.id = e.verdict_id
      JOIN lineage.candidates c ON c.id = ANY (v.candidate_ids)
    ) made (id) JOIN lineage.generations g USING (id);
    CREATE TEMP VIEW texts AS
    SELECT t.part, regexp_count(t.text, '\S+') AS words FROM exported e CROSS JOIN LATERAL (
      VALUES ('instruction', e.instruction), ('input', e.input), ('output', e.output)
    ) t (part, text) WHERE t.part <> 'input' OR e.input <> ''
"""


class Reader:
    """Somebody who is nothing but a `dataset_reader`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        return self._connection.execute(query.encode()).fetchall()

    def table(self, query: str) -> Table:
        """What a query gives, as the cells of a table."""
        cursor = self._connection.execute(query.encode())
        assert cursor.description
        names = [column.name for column in cursor.description]
        return [dict(zip(names, map(cell, row), strict=True)) for row in cursor]

    def one(self, query: str) -> Any:
        """The only value that a query gives."""
        ((value,),) = self.rows(query)
        return value


def cell(value: Any) -> str:
    return "" if value is None else str(value)
