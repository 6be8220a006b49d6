"""What must hold between hyperparameters: `constraints = ["batch_size <= 4 * layers"]`.

A constraint is written as an expression of Python's, and is read as one, but never run by it: here
are its operators, and nothing else is known. It holds where a hyperparameter that it names is
inactive; where one has no value, and is counted or compared by size, too. It does not hold where it
can't be computed: a division by 0, a number that is too large, a text less than a number.
"""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from hpmpi.errors import SpaceError
from hpmpi.model.values import is_number

LONGEST, MOST_NODES, DEEPEST = 1000, 400, 100
"""How long a constraint is at most, of how many parts, and how deep they are in each other."""

MOST_BITS = 1024
"""How large a whole number may become by a power."""

Config = Mapping[str, Any]
Term = Callable[[Config], Any]


class Constraint(msgspec.Struct, frozen=True, dict=True):
    """A constraint as it was written."""

    text: str

    def check(self) -> None:
        """Raise SpaceError where it is none."""
        assert callable(self._term)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in it."""
        return frozenset(named(parsed(self.text)))

    def holds(self, config: Config) -> bool:
        """Tell whether it holds of a configuration."""
        try:
            return self._holds(config)
        except UnfitError:
            return False

    def problem(self, config: Config) -> str | None:
        """Say why it can't be computed of a configuration; None where it can."""
        try:
            self._holds(config)
        except UnfitError as error:
            return str(error)
        return None

    def _holds(self, config: Config) -> bool:
        if not self.names <= config.keys():
            return True
        try:
            return truth(self._term(config))
        except NoValueError:
            return True

    @cached_property
    def _term(self) -> Term:
        return term(parsed(self.text))


class NoValueError(Exception):
    """A hyperparameter that is optional has no value to count with."""


class UnfitError(Exception):
    """What can't be computed."""


def parsed(text: str) -> ast.expr:
    """Read an expression; raises SpaceError."""
    try:
        if len(text) > LONGEST:
            raise SpaceError(f"it is longer than {LONGEST} characters")
        tree = ast.parse(text.strip().replace("\n", " "), mode="eval").body
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES or depth_of(tree) > DEEPEST:
            raise SpaceError("it has too many parts, or is too deep; make it several")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else "it is too deep, or no text"
        raise SpaceError(f"it can't be read as an expression: {why}") from error
    return tree


def depth_of(tree: ast.AST) -> int:
    """Count how deep an expression is."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def named(tree: ast.expr) -> Iterator[str]:
    """List the names in an expression; those with dots are one."""
    if (name := name_of(tree)) is not None:
        if name not in WORDS:
            yield name
        return
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):
            yield from named(child)


def name_of(node: ast.AST) -> str | None:
    """Take a name, or names with dots between them, as one; None where that is none.

    A name that Python would not take for one is said as `space["learning-rate"]`.
    """
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        is_said = node.value.id == "space" and isinstance(node.slice, ast.Constant)
        said = node.slice.value if is_said and isinstance(node.slice, ast.Constant) else None
        return said if isinstance(said, str) else None
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (above := name_of(node.value)) is not None:
        return f"{above}.{node.attr}"
    return None


def term(node: ast.expr) -> Term:
    """Make a function of a configuration of an expression; raises SpaceError for what is none."""
    if (name := name_of(node)) is not None:
        return constant(WORDS[name]) if name in WORDS else operator.itemgetter(name)
    match node:
        case ast.Constant(bool() | int() | float() | str() | None as value):
            return constant(value)
        case ast.List(items) | ast.Tuple(items):
            terms = list(map(term, items))
            return lambda config: [item(config) for item in terms]
        case ast.BoolOp(ast.And(), parts):
            return both(list(map(term, parts)))
        case ast.BoolOp(ast.Or(), parts):
            return either(list(map(term, parts)))
        case ast.UnaryOp(ast.Not(), operand):
            inner = term(operand)
            return lambda config: not truth(inner(config))
        case ast.UnaryOp(ast.USub() | ast.UAdd() as sign, operand):
            return computed(SIGNS[type(sign)], term(operand))
        case ast.BinOp(left, by, right) if type(by) in OPERATORS:
            return computed(OPERATORS[type(by)], term(left), term(right))
        case ast.Compare(first, by, rest) if all(type(it) in COMPARED for it in by):
            return compared(list(map(term, [first, *rest])), [COMPARED[type(it)] for it in by])
        case _:
            raise SpaceError(f"{ast.unparse(node)!r} is not known here; there is: {KNOWN}")


KNOWN = (
    "names, space['a-name'], numbers, texts, lists, + - * / // % **, < <= > >= == != in, "
    "and, or, not, ( )"
)

WORDS = {"true": True, "false": False}
"""Words of TOML's; those of Python's are constants."""


def constant(value: Any) -> Term:
    """Make a function that is always the same."""
    return lambda _: value


def both(terms: list[Term]) -> Term:
    """Have all hold."""
    return lambda config: all(truth(it(config)) for it in terms)


def either(terms: list[Term]) -> Term:
    """Have one hold."""
    return lambda config: any(truth(it(config)) for it in terms)


def computed(compute: Callable[..., Any], *terms: Term) -> Term:
    """Compute with numbers, and nothing else."""

    def value(config: Config) -> Any:
        numbers = [number(it(config)) for it in terms]
        try:
            return compute(*numbers)
        except (ArithmeticError, ValueError) as error:
            raise UnfitError(str(error)) from error

    return value


def compared(terms: list[Term], tests: list[Callable[[Any, Any], bool]]) -> Term:
    """Compare each with the next, as far as it is true."""

    def value(config: Config) -> bool:
        left = terms[0](config)
        for right_term, test in zip(terms[1:], tests, strict=True):
            right = right_term(config)
            if not test(left, right):
                return False
            left = right
        return True

    return value


def number(value: Any) -> float | int:
    """Take a number; a truth value is 0 or 1."""
    if value is None:
        raise NoValueError
    if isinstance(value, bool):
        return int(value)
    if not is_number(value):
        raise UnfitError(f"{value!r} is no number")
    return value


def truth(value: Any) -> bool:
    """Take a truth value, or None for one that is not there."""
    if value is None:
        raise NoValueError
    if not isinstance(value, bool):
        raise UnfitError(f"{value!r} is neither true nor false; compare it with something")
    return value


def by_size(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare two numbers, or two texts."""

    def compare(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return test(left, right)
        return test(number(left), number(right))

    return compare


def power(base: float, exponent: float) -> Any:
    """Compute a power, if it is not too large."""
    if isinstance(base, int) and isinstance(exponent, int):
        if exponent > 0 and base.bit_length() * exponent > MOST_BITS:
            raise UnfitError(f"{base} ** {exponent} is too large")
        if exponent < 0 and base.bit_length() > MOST_BITS:
            raise UnfitError(f"{base} ** {exponent} has too many digits")
    result = base**exponent
    if isinstance(result, complex):
        raise UnfitError(f"{base} ** {exponent} is no real number")
    return result


def contained(left: Any, right: Any) -> bool:
    """Tell whether a value is in a list, or a text in a text."""
    if isinstance(right, list) or (isinstance(left, str) and isinstance(right, str)):
        return left in right
    raise UnfitError(f"{right!r} is no list")


SIGNS: dict[type, Callable[..., Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}

OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: power,
}

COMPARED: dict[type, Callable[[Any, Any], bool]] = {
    ast.Lt: by_size(operator.lt),
    ast.LtE: by_size(operator.le),
    ast.Gt: by_size(operator.gt),
    ast.GtE: by_size(operator.ge),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: contained,
    ast.NotIn: lambda left, right: not contained(left, right),
}
