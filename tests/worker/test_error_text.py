"""What is told of an error: a first line that says what it was, then its traceback."""

import concurrent.futures
from collections.abc import Callable

import pytest

from hpmpi.model.messages import OUTPUT, gist
from hpmpi.worker.error_text import describe
from hpmpi.worker.limits import TAKEN


def tell(raises: Callable[[], object]) -> str:
    """Tell what something raises."""
    try:
        raises()
    except BaseException as error:  # noqa: BLE001 - that is what is asked
        return describe(error)
    raise AssertionError("it raised nothing")


def gist_of(raises: Callable[[], object]) -> str:
    """Take the gist of what something raises."""
    return gist(tell(raises))


def fail(error: BaseException) -> None:
    """Raise."""
    raise error


def chained(*, explicitly: bool, hidden: bool = False) -> None:
    """Raise an error on account of another, which had one of its own."""
    try:
        try:
            fail(KeyError("rate"))
        except KeyError as error:
            raise TypeError("half way") from error
    except TypeError as error:
        if hidden:
            raise RuntimeError("no training") from None
        if explicitly:
            raise RuntimeError("no training") from error
        raise RuntimeError("no training")  # noqa: B904 - as people do


def in_another_process() -> None:
    """Fail in a pool."""
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        pool.submit(fail, ValueError("no")).result()


class NoWords(Exception):  # noqa: N818 - as it is
    """Can't say what it is."""

    def __str__(self) -> str:
        """Fail."""
        raise ZeroDivisionError


ADVICE = "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`.\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (RuntimeError(ADVICE), "RuntimeError: CUDA error: device-side assert triggered"),
        (ValueError("\n\nno\nhelp"), "ValueError: no"),
        (
            RuntimeError("Error(s) in loading state_dict:\n\tMissing key 'w'\n\tand more"),
            "RuntimeError: Error(s) in loading state_dict: Missing key 'w'",
        ),
        (KeyError("fold"), "KeyError: 'fold'"),
        (SystemError("größe"), "SystemError: größe"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (NoWords(), "tests.worker.test_error_text.NoWords: <exception str() failed>"),
        (SyntaxError("invalid syntax", ("f.py", 1, 1, "if", 1, 3)), "SyntaxError: invalid syntax"),
    ],
)
def test_the_gist_of_an_error_is_its_type_and_first_line(error: BaseException, said: str) -> None:
    found = gist_of(lambda: fail(error))
    assert found.removeprefix("tests.worker.test_error_text.") == said.removeprefix(
        "tests.worker.test_error_text."
    )


def test_the_root_of_a_chain_is_told_with_its_end() -> None:
    said = gist_of(lambda: chained(explicitly=True))
    assert said == "RuntimeError: no training; because of KeyError: 'rate'"
    said = gist_of(lambda: chained(explicitly=False))
    assert said == "RuntimeError: no training; while handling KeyError: 'rate'"
    assert gist_of(lambda: chained(explicitly=False, hidden=True)) == "RuntimeError: no training"


def test_a_traceback_of_another_process_is_no_root() -> None:
    assert gist_of(in_another_process) == "ValueError: no"


def test_the_parts_of_a_group_and_the_first_note_are_told() -> None:
    inner = ExceptionGroup("deep", [KeyError("fold")])
    group = ExceptionGroup("two", [ValueError("rate is negative\nsee"), inner])
    said = "ExceptionGroup: two (2 sub-exceptions): ValueError: rate is negative; KeyError: 'fold'"
    assert gist_of(lambda: fail(group)) == said
    noted = ValueError("no")
    noted.add_note("chapter 7\nof the manual")
    assert gist_of(lambda: fail(noted)) == "ValueError: no (chapter 7)"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no <X object at 0x7f7d4d3a6280>", "no <X object at 0x7fb20d1a6280>"),
        ("worker pid=17 died", "worker pid=18123 died"),
        ("Process 17 has ended", "Process 19 has ended"),
        ("/scratch/tmpab12cd34/w.pt is gone", "/scratch/tmpz_9x8y7w/w.pt is gone"),
        ("no /r/trials/0/0.1/input.dat", "no /r/trials/12/0.2/input.dat"),
        ("no /r/checkpoints/0/.1-0.1/w", "no /r/checkpoints/3/9-2.1/w"),
        ("[12:00:01] /src/a.cc:41: no", "[23:59:59] /src/a.cc:41: no"),
        ("2026-11-30 12:00:01,123 no", "2026-11-30 12:00:02,999 no"),
    ],
)
def test_what_is_of_one_process_or_moment_is_not_in_the_gist(one: str, other: str) -> None:
    assert gist_of(lambda: fail(ValueError(one))) == gist_of(lambda: fail(ValueError(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [("no 3", "no 4"), ("loss 0.31", "loss 0.32"), ("rank 1 died", "rank 2 died")],
)
def test_what_may_be_another_error_is_in_the_gist(one: str, other: str) -> None:
    assert gist_of(lambda: fail(ValueError(one))) != gist_of(lambda: fail(ValueError(other)))


def test_an_error_is_told_within_bounds_and_as_text() -> None:
    said = tell(lambda: fail(ValueError("x" * 100_000 + "\udce9")))
    assert len(said) < 6000
    assert len(gist(said)) < 400
    assert tell(lambda: fail(ValueError("caf\udce9"))).encode()


def test_an_error_without_lines_of_the_users_is_told_once() -> None:
    assert describe(ValueError("math domain error")) == "ValueError: math domain error"


def test_the_first_line_is_the_gist_whoever_tells() -> None:
    assert gist(f"{TAKEN}{OUTPUT}\nepoch 3\nepoch 4") == TAKEN
    assert gist("the metric 'loss' must be a number\nor two") == (
        "the metric 'loss' must be a number"
    )


def test_the_gist_of_an_old_traceback_is_its_last_line() -> None:
    old = "Traceback (most recent call last):\n  in train\nValueError: no"
    assert gist(old) == "ValueError: no"
    assert gist(f"  + Exception Group {old}") == "ValueError: no"
