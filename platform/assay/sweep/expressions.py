"""Arithmetic of one name, for the axis of a plot: "1 - sample.temperature"."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OPERATIONS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.USub: operator.neg,
}


@dataclass(frozen=True)
class Expression:
    """What an axis shows of a name's value: the value itself, or numbers added to it and multiplied by it."""

    name: str
    """A config path, a metric, or whatever else an axis may have."""
    body: ast.expr | None = None
    """None: the value itself."""

    @classmethod
    def of(cls, text: str) -> Expression:
        """Read an expression. A text that is not one with +, -, *, numbers and exactly one name is a name itself."""
        try:
            body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return cls(text)
        names = list(_names(body))
        if len(names) != 1 or None in names or not isinstance(body, ast.BinOp | ast.UnaryOp):
            return cls(text)
        return cls(str(names[0]), body)

    def at(self, value: float) -> float:
        return value if self.body is None else _value(self.body, value)


def _names(node: ast.expr) -> Iterator[str | None]:
    """The names in an expression; None for anything that is not allowed in it."""
    match node:
        case ast.BinOp(left, operation, right) if type(operation) in OPERATIONS:
            yield from (*_names(left), *_names(right))
        case ast.UnaryOp(ast.USub(), operand):
            yield from _names(operand)
        case ast.Name() | ast.Attribute():
            yield ast.unparse(node)
        case ast.Constant(int() | float()):
            return
        case _:
            yield None


def _value(node: ast.expr, value: float) -> float:
    match node:
        case ast.BinOp(left, operation, right):
            return OPERATIONS[type(operation)](_value(left, value), _value(right, value))
        case ast.UnaryOp(operation, operand):
            return OPERATIONS[type(operation)](_value(operand, value))
        case ast.Constant(int() | float() as number):
            return number
    return value
