"""Changes of one line: what a careless engineer might write in its place.

Not changed are docstrings, messages and log lines, asserts, annotations, and numbers of a module
that only tune.
"""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

Place = tuple[int, int]
Edit = tuple[Place, Place, str]
"""From where, to where, and what stands there then; lines from 1, columns in bytes."""

COMPARISONS: dict[type[ast.cmpop], tuple[str, list[str]]] = {
    ast.Lt: ("<", ["<=", ">="]),
    ast.LtE: ("<=", ["<", ">"]),
    ast.Gt: (">", [">=", "<="]),
    ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: ("not in", ["in"]),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "%"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SPEAKING = re.compile(r"log\.|print\(|warnings\.|parser\.|[\w.]*(stdout|stderr)\.")
NO_CODE = {"annotation", "returns", "decorator_list", "type_comment"}


class Change(NamedTuple):
    """A line of a file, and what it becomes."""

    file: str
    line: int
    before: str
    after: str

    @property
    def module(self) -> str:
        """The module within the package: `worker`, `transports.mpi`."""
        return module_of(self.file)

    def apply(self, text: bytes) -> bytes:
        """Make the change."""
        lines = text.split(b"\n")
        lines[self.line - 1] = self.after.encode()
        return b"\n".join(lines)

    def __str__(self) -> str:
        """Show it."""
        told = f"- {self.before.strip()}\n    + {self.after.strip()}"
        return f"{self.file}:{self.line}\n    {told}"


def module_of(file: str) -> str:
    """Name the module of a file of the package; of the package itself, nothing."""
    parts = Path(file).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def drawn(texts: dict[str, bytes], seed: int, number: int) -> list[Change]:
    """Draw lines of these files, and a change of each."""
    random = Random(seed)  # noqa: S311 - not for secrets
    lines = [several for file, text in sorted(texts.items()) for several in changes(file, text)]
    random.shuffle(lines)
    valid = ([it for it in several if is_python(it.apply(texts[it.file]))] for several in lines)
    return [random.choice(several) for several in islice(filter(None, valid), number)]


def changes(file: str, text: bytes) -> list[list[Change]]:
    """Find all changes of a file, by line; some are no Python."""
    lines = text.split(b"\n")
    found: dict[int, list[Change]] = {}
    for node in active(ast.parse(text)):
        for start, end, new in EDITS[type(node)](node, lines) if type(node) in EDITS else ():
            number, line = start[0], lines[start[0] - 1]
            if number != end[0]:
                continue  # it is of several lines
            after = line[: start[1]] + new.encode() + line[end[1] :]
            change = Change(file, number, line.decode(), after.decode())
            found.setdefault(number, []).append(change)
    return list(found.values())


def active(node: ast.AST) -> Iterator[ast.AST]:
    """Walk over what does something."""
    for name, value in ast.iter_fields(node):
        for each in value if isinstance(value, list) else [value]:
            if name in NO_CODE or not isinstance(each, ast.AST) or is_words(each):
                continue
            if isinstance(node, ast.Module) and only_tunes(each):
                continue
            yield each
            if not isinstance(each, ast.Raise):
                yield from active(each)


def is_words(node: ast.AST) -> bool:
    """Whether it is a message, a log line, an assert or an import."""
    match node:
        case ast.JoinedStr() | ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call() as call):
            return SPEAKING.match(ast.unparse(call)) is not None
    return False


def only_tunes(node: ast.AST) -> bool:
    """Whether it names numbers: how long, how often, how many."""
    numbers = (ast.Constant, ast.BinOp, ast.Name, ast.Tuple, ast.operator, ast.expr_context)
    match node:
        case ast.Assign(targets=[target], value=value) if ast.unparse(target).isupper():
            return all(isinstance(each, numbers) for each in ast.walk(value))
    return False


def is_python(text: bytes) -> bool:
    """Whether it can be compiled."""
    try:
        compile(text, "changed", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


# -- what each kind of code may become -------------------------------------------------------------


def whole(node: ast.expr | ast.stmt, new: str) -> Edit:
    """Put something in the place of a node."""
    end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return (node.lineno, node.col_offset), end, new


def between(one: ast.expr, other: ast.expr, old: str, new: str, lines: list[bytes]) -> Edit:
    """Put another word between two nodes; what is on two lines stays on two."""
    (_, start, _), (end, _, _) = whole(one, ""), whole(other, "")
    told = lines[start[0] - 1][start[1] : end[1]].decode()
    return start, end, told.replace(old, new, 1)


def negated(node: ast.expr) -> Edit:
    """Turn a condition around."""
    return whole(node, f"not ({ast.unparse(node)})")


def compared(node: ast.Compare, lines: list[bytes]) -> Iterator[Edit]:
    """Be off by one, or the other way round."""
    values = [node.left, *node.comparators]
    for one, op, other in zip(values, node.ops, node.comparators, strict=False):
        old, new = COMPARISONS[type(op)]
        yield from (between(one, other, old, each, lines) for each in new)


def combined(node: ast.BoolOp, lines: list[bytes]) -> Iterator[Edit]:
    """Take `and` for `or`."""
    words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    yield between(node.values[0], node.values[1], *words, lines)


def calculated(node: ast.BinOp, lines: list[bytes]) -> Iterator[Edit]:
    """Take plus for minus."""
    if type(node.op) in ARITHMETIC:
        yield between(node.left, node.right, *ARITHMETIC[type(node.op)], lines)


def denied(node: ast.UnaryOp, _: list[bytes]) -> Iterator[Edit]:
    """Forget the `not`."""
    if isinstance(node.op, ast.Not):
        yield whole(node, f"({ast.unparse(node.operand)})")


def left_out(node: ast.stmt, _: list[bytes]) -> Iterator[Edit]:
    """Forget what changes something: a call, an attribute that is set, an error that is raised."""
    changed = isinstance(node, ast.AugAssign | ast.Raise | ast.Delete)
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    stored = isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name | ast.Tuple)
    if changed or called or stored:
        yield whole(node, "pass")


def returned(node: ast.Return, _: list[bytes]) -> Iterator[Edit]:
    """Return nothing, or the contrary."""
    match node.value:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp() as value:
            yield negated(value)
        case ast.expr() as value if not isinstance(value, ast.Constant):
            yield whole(value, "None")


def conditional(node: ast.If | ast.IfExp | ast.While, _: list[bytes]) -> Iterator[Edit]:
    """Turn the condition around."""
    if not isinstance(node.test, ast.Constant):
        yield negated(node.test)


def chosen(node: ast.comprehension, _: list[bytes]) -> Iterator[Edit]:
    """Choose the others."""
    yield from (negated(each) for each in node.ifs)


def constant(node: ast.Constant, _: list[bytes]) -> Iterator[Edit]:
    """Say another number, or the other truth."""
    match node.value:
        case bool() as value:
            yield whole(node, str(not value))
        case int() | float() as value:
            yield whole(node, str(value + 1))


def left_early(node: ast.Break | ast.Continue, _: list[bytes]) -> Iterator[Edit]:
    """Take the end of a loop for that of a turn."""
    yield whole(node, "continue" if isinstance(node, ast.Break) else "break")


def called(node: ast.Call, _: list[bytes]) -> Iterator[Edit]:
    """Take the least for the most."""
    if isinstance(node.func, ast.Name) and node.func.id in OPPOSITES:
        yield whole(node.func, OPPOSITES[node.func.id])


EDITS: dict[type[ast.AST], Callable[[Any, list[bytes]], Iterator[Edit]]] = {
    ast.Compare: compared,
    ast.BoolOp: combined,
    ast.BinOp: calculated,
    ast.UnaryOp: denied,
    **dict.fromkeys((ast.AugAssign, ast.Raise, ast.Delete, ast.Expr, ast.Assign), left_out),
    ast.Return: returned,
    **dict.fromkeys((ast.If, ast.IfExp, ast.While), conditional),
    ast.comprehension: chosen,
    ast.Constant: constant,
    **dict.fromkeys((ast.Break, ast.Continue), left_early),
    ast.Call: called,
}
