"""Pages of a cursor: no more than one page is ever fetched ahead, and others may be executed meanwhile."""

from sqlalchemy import text

from shared.store.cursors import pages
from shared.store.session import Sessions


def test_rows_come_in_pages_from_a_cursor_that_the_server_holds(sessions: Sessions) -> None:
    with sessions() as session:
        read = pages(session, "SELECT n FROM generate_series(1, :most) n ORDER BY n", 10, most=25)
        assert [row[0] for row in next(read)] == list(range(1, 11))
        (held,) = session.scalars(text("SELECT name FROM pg_cursors")).all()
        ahead = session.connection().exec_driver_sql(f'FETCH 1 FROM "{held}"').scalar_one()
        assert 11 <= ahead <= 22
        assert sum(len(page) for page in read) == 25 - 10 - 1
        assert session.scalars(text("SELECT name FROM pg_cursors")).all() == []
