"""One SQL condition over `lineage.examples`, as a person writes it, and nothing else.

It is parsed and written anew from its parts, so that what was looked at is what Postgres gets to see. Postgres then
checks it for itself, as a role that may only read (`shared.store.reading`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from shared.errors import UserError
from shared.store.reading import Function

DIALECT = "postgres"
SCHEMA = "lineage"
LONGEST = 60  # characters of a part that a message shows

# What may not stand in a condition, at whatever depth, and what a person calls it.
REFUSED: dict[type[exp.Expr], str] = {
    exp.DML: "a statement that writes",
    exp.DDL: "a statement that changes the database",
    exp.Drop: "a statement that changes the database",
    exp.Command: "a statement",
    exp.With: "WITH",
    exp.Into: "INTO",
    exp.Lock: "a lock",
    exp.Placeholder: "a placeholder",
    exp.Parameter: "a placeholder",
    exp.ByteString: "a string with escapes (E'…')",
    exp.RawString: "a string between dollar signs ($$…$$)",
    exp.UnicodeString: "a string with escapes (U&'…')",
    exp.National: "a string of another kind (N'…')",
    exp.HexString: "a string of bits (X'…')",
    exp.BitString: "a string of bits (B'…')",
}

# Words that a bracket may follow without a function being called.
SYNTAX = re.compile(
    "ALL|AND|ANY|ARRAY|AS|BETWEEN|BY|CASE|CAST|COALESCE|DISTINCT|ELSE|END|EXCEPT|EXISTS|EXTRACT|FILTER|FROM|FULL|GREATEST"
    "|GROUP|HAVING|ILIKE|IN|INNER|INTERSECT|IS|JOIN|LATERAL|LEAST|LIKE|LIMIT|NOT|NULLIF|OFFSET|ON|OR|ORDER|OUTER|OVER"
    "|OVERLAY|PARTITION|POSITION|ROW|SELECT|SIMILAR|SOME|SUBSTRING|THEN|TO|TRIM|UNION|UNNEST|USING|VALUES|WHEN|WHERE"
    "|WITHIN"
)


class ConditionError(UserError):
    """--where: {fault}. Write one SQL condition over the columns of lineage.examples, such as
    exact_match OR agreement > 0.5"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in one spelling, whatever spaces and comments it came with, and the functions that it calls."""

    sql: str
    functions: frozenset[Function]


def read_condition(given: str) -> Condition:
    """Raises `ConditionError` for anything but one condition that reads the schema `lineage`."""
    parsed = _parsed(given)
    for node in parsed.walk():
        _refuse(node)
    sql = parsed.sql(dialect=DIALECT, comments=False, normalize_functions=False)
    return Condition(sql, frozenset(_functions(sql)))


def _parsed(given: str) -> exp.Expr:
    try:
        parsed = sqlglot.parse(given, dialect=DIALECT)
        statements = [each for each in parsed if each is not None and not isinstance(each, exp.Semicolon)]
    except ParseError as error:
        raise ConditionError(fault=_at(error)) from error
    except TokenError as error:
        raise ConditionError(fault=f"a quote or bracket is not closed ({error})") from error
    except (SqlglotError, RecursionError, ValueError) as error:
        raise ConditionError(fault=f"it can't be read ({type(error).__name__})") from error
    if not statements:
        raise ConditionError(fault="there is nothing in it")
    if len(statements) > 1:
        raise ConditionError(fault=f"it goes on after a semicolon, with {_short(statements[1])}")
    (only,) = statements
    if not isinstance(only, exp.Condition) or isinstance(only.unnest(), exp.Query):
        raise ConditionError(fault=f"it is no condition but {_short(only)}")
    return only


def _at(error: ParseError) -> str:
    first = error.errors[0]
    what = first["description"].rstrip(".").replace("Invalid expression / Unexpected token", "this is unexpected")
    return f"line {first['line']}, character {first['col']}, at {first['highlight']!r}: {what}"


def _refuse(node: exp.Expr) -> None:
    for kind, name in REFUSED.items():
        if isinstance(node, kind):
            raise ConditionError(fault=f"{name} has no place in it: {_short(node)}")
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Func) and (node.catalog or node.db != SCHEMA):
        raise ConditionError(fault=f"it may read the schema {SCHEMA} alone, not {_short(node)}")


def _functions(sql: str) -> Iterator[Function]:
    """Every name before a bracket that is not part of SQL's grammar; after AS stands a type or an alias."""
    tokens = sqlglot.tokenize(sql, read=DIALECT)
    for index, (token, following) in enumerate(pairwise(tokens)):
        if following.token_type is not TokenType.L_PAREN or not _is_word(token):
            continue
        before = tokens[index - 1].token_type if index else None
        if before is TokenType.DOT:
            yield Function(tokens[index - 2].text.lower(), _name(token))
        elif before is not TokenType.ALIAS and not _is_syntax(token):
            yield Function(None, _name(token))


def _is_word(token: Token) -> bool:
    return token.token_type is TokenType.IDENTIFIER or (
        token.token_type is not TokenType.STRING
        and token.text.replace("_", "a").isalnum()
        and not token.text[0].isdigit()
    )


def _is_syntax(token: Token) -> bool:
    return token.token_type is not TokenType.IDENTIFIER and bool(SYNTAX.fullmatch(token.text.upper()))


def _name(token: Token) -> str:
    return token.text if token.token_type is TokenType.IDENTIFIER else token.text.lower()


def _short(node: exp.Expr) -> str:
    text = node.sql(dialect=DIALECT, comments=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
