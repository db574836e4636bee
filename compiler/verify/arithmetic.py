"""The text of an arithmetic expression goes in; its value comes out.

A file of its own because nothing of it is ever run as Python: a text of a teacher is parsed, and
only numbers, the five operations and parentheses are understood, within limits on size.
"""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_MOST_CHARACTERS, _MOST_BITS, _MOST_POWER = 300, 4096, 1000
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**"})


class NoArithmetic(Exception):  # noqa: N818
    """The text is no expression that is understood, or its value is too large."""


def value_of(text: str) -> Fraction:
    """The exact value of `(2 + 3) * 4 / 7 - 2 ** 10`; commas may group thousands.

    A power with a broken exponent is taken as a float. Raises NoArithmetic.
    """
    if len(text) > _MOST_CHARACTERS:
        raise NoArithmetic("longer than 300 characters")
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text).translate(_SIGNS).strip()
    try:
        return _value(ast.parse(text, mode="eval").body)
    except ZeroDivisionError:
        raise NoArithmetic("divides by zero") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        raise NoArithmetic("no arithmetic") from None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return _small(Fraction(str(node.value)))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner)
        case ast.BinOp(op=ast.Pow()):
            return _power(_value(node.left), _value(node.right))
        case ast.BinOp() if type(node.op) in _OPERATIONS:
            operation = _OPERATIONS[type(node.op)]
            return _small(operation(_value(node.left), _value(node.right)))
    raise NoArithmetic("no arithmetic")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        if base < 0:
            raise NoArithmetic("a broken power of a negative number")
        return Fraction(float(base) ** float(exponent))
    size = max(abs(base.numerator), base.denominator).bit_length()
    if abs(exponent) > _MOST_POWER or size * abs(exponent) > _MOST_BITS:
        raise NoArithmetic("too large")
    return _small(base ** int(exponent))


def _small(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator).bit_length() > _MOST_BITS:
        raise NoArithmetic("too large")
    return value
