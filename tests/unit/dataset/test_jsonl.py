import json
from pathlib import Path
from tempfile import NamedTemporaryFile

from hypothesis import example, given
from hypothesis import strategies as st

from shared.dataset.jsonl import read_records, read_texts
from shared.errors import UserError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just("a"), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(["a", "b"]), values)
as_json = st.builds(lambda value, escaped: json.dumps(value, ensure_ascii=escaped), objects | values, st.booleans())
lines = as_json.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=12)
DEEP = b'{"a": "x", "b": ' + b"[" * 3000 + b"]" * 3000 + b"}"
DIGITS = b'{"a": "x", "b": ' + b"7" * 5000 + b"}"


def by_records(path: Path) -> list[tuple[int, str]] | str:
    try:
        return [(record.line, record.text("a", "mend it")) for record in read_records(path, '{"a": "…"}')]
    except UserError as error:
        return str(error)


def quickly(path: Path) -> list[tuple[int, str]] | str:
    try:
        return list(read_texts(path, "a", "mend it"))
    except UserError as error:
        return str(error)


@given(st.lists(lines, max_size=4))
@example([b'{"a": "x"}', b'{"a": "\\ud800", "b": NaN}', b'{"a": "y", "a": "z"} \r'])
@example([b'{"a": "x"}', b'\xef\xbb\xbf{"a": "x"}'])
@example([b'{"a": "x"}', b'"a"', b"7"])
@example([b'{"a": "x"}', DEEP])
@example([b'{"a": "x"}', DIGITS])
@example([b"", b"\x0b", b'\x0c{"a": "x"}'])
def test_texts_are_read_as_records_are_and_refused_with_the_same_words(some: list[bytes]) -> None:
    with NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(some))
        file.flush()
        assert quickly(Path(file.name)) == by_records(Path(file.name))
