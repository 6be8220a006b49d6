"""What scripts/mutate.py changes: what does something, and neither words nor what only tunes."""

import pytest

from scripts.mutants import changes, drawn

FILE = "hpmpi/some/where.py"


def changed(code: str) -> set[str]:
    """List what the lines of some code may become."""
    found = changes(FILE, code.encode())
    return {change.after.strip() for several in found for change in several}


@pytest.mark.parametrize(
    ("code", "afters"),
    [
        ("x = a < b", {"x = a <= b", "x = a >= b"}),
        ("x = (a) is not (b)", {"x = (a) is (b)"}),
        ("x = a in b and c", {"x = a not in b and c", "x = a in b or c"}),
        ("x = not a", {"x = (a)"}),
        ("x = a - b // c", {"x = a + b // c", "x = a - b % c"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = [a for a in b if c]", {"x = [a for a in b if not (c)]"}),
        ("x = f(True, 'é', 1)", {"x = f(False, 'é', 1)", "x = f(True, 'é', 2)"}),
        ("f(a)", {"pass"}),
        ("a.b = c", {"pass"}),
        ("a += b", {"pass"}),
        ("def f():\n    return a", {"return None"}),
        ("def f():\n    return a or b", {"return not (a or b)", "return a and b"}),
        ("def f(a=0): pass", {"def f(a=1): pass"}),
        ("while a:\n    break", {"while not (a):", "continue"}),
    ],
)
def test_a_line_becomes_what_a_careless_engineer_might_write(code: str, afters: set[str]) -> None:
    assert changed(code) == afters


@pytest.mark.parametrize(
    "code",
    [
        '"""Say 1 + 1 < 3."""',
        'log.info("after %d s", 3)',
        'sys.stderr.write("not so\\n")',
        'x = f"{a + b}"',
        "assert a < 3",
        "PATIENCE_S = 60.0",
        "PATIENCE_S = 5 * BEAT_S",
        "import a",
        "x: Annotated[float, Meta(ge=0)]",
    ],
)
def test_words_and_what_only_tunes_stay(code: str) -> None:
    assert changed(code) == set()


def test_an_error_may_not_be_raised_but_its_message_stays() -> None:
    assert changed("raise ValueError(a + b)") == {"pass"}


def test_a_seed_draws_the_same_lines_each_once() -> None:
    text = "".join(f"x{n} = a < {n}\n" for n in range(50)).encode()
    first = drawn({FILE: text}, seed=1, number=20)
    assert first == drawn({FILE: text}, seed=1, number=20)
    assert first != drawn({FILE: text}, seed=2, number=20)
    assert len({change.line for change in first}) == 20
    for change in first:
        lines = change.apply(text).decode().splitlines()
        assert lines[change.line - 1] == change.after
        assert [line for line in lines if line != change.after] == [
            line for line in text.decode().splitlines() if line != change.before
        ]
