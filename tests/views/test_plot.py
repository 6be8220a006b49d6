"""What `hpmpi plot` draws, from which numbers, and what it says where it can't."""

import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hpmpi.history import series
from hpmpi.history.series import Fate, Story
from hpmpi.model.messages import FailureKind, Point
from hpmpi.model.records import (
    Assigned,
    Back,
    Curve,
    Decision,
    Failure,
    Joined,
    Late,
    Lost,
    Result,
    Started,
    Suspension,
)
from hpmpi.model.trial import Config, Goal
from hpmpi.storage import run_folder
from hpmpi.storage.journal import line_of
from hpmpi.study import settings
from hpmpi.views.figures import style
from hpmpi.views.figures.bins import in_work
from hpmpi.views.figures.curves import curves
from hpmpi.views.figures.hyperparameters import hyperparameters
from hpmpi.views.figures.incumbent import incumbent
from hpmpi.views.figures.ranks import ranks
from hpmpi.views.figures.run import Run, described
from hpmpi.views.figures.throughput import throughput
from hpmpi.views.plot import figures_of, look, named
from hpmpi.views.run_view import sum_up
from tests.harness.runs import ROOT, Study, finish, start

GOAL = Goal("loss", "min")
NAMES = ("curves", "hyperparameters", "incumbent", "ranks", "rungs", "throughput", "timeline")

SETTINGS = """
name = "mine"
objective = "train.py:train"
metric = "loss"
[space]
x = { type = "float", low = 1e-4, high = 1.0, log = true }
n = { type = "int", low = 1, high = 5 }
kind = { type = "choice", values = ["a", "b", 1, true] }
"""


def started(at: float = 0.0, ranks: int = 2) -> Started:
    """Write a start."""
    return Started(at, "0", SETTINGS, f"start-{at}", ranks, (1, 3), run_folder.FORMAT)


def assigned(at: float, trial: int, rung: int = 0, attempt: int = 1, rank: int = 1) -> Assigned:
    """Hand a job out."""
    config: Config = {"x": 0.01 * (trial % 97 + 1), "n": trial % 5 + 1, "kind": "ab"[trial % 2]}
    first = rung == 0 and attempt == 1
    return Assigned(at, trial, rung, attempt, 3**rung, rank, config if first else None)


def result(at: float, trial: int, loss: float, rung: int = 0, attempt: int = 1) -> Result:
    """Answer a job, with a checkpoint."""
    return Result(at, trial, rung, attempt, 3**rung, 1, {"loss": loss}, 3**rung)


def tell(*decisions: Decision) -> Story:
    """Tell the story of a journal."""
    return series.tell([started(), *decisions], GOAL)


def run_of(*decisions: Decision) -> Run:
    """Make the run of a journal, as `plot` does from a folder."""
    summary = sum_up(settings.parse(SETTINGS), [started(), *decisions])
    return Run("mine", summary, tell(*decisions))


def drawn(run: Run) -> list[str]:
    """Name the figures that a run has."""
    with style.styled():
        return sorted(name for name, figure in figures_of(run) if figure is not None)


# -- series ----------------------------------------------------------------------------------------


def test_resource_that_a_checkpoint_has_is_spent_once() -> None:
    story = tell(
        assigned(0, 0),
        result(1, 0, 0.5),
        assigned(1, 0, rung=1),
        Suspension(2, 0, 1, 1, 1, 2),
        assigned(3, 0, rung=1, attempt=2),
        result(4, 0, 0.4, rung=1, attempt=2),
    )
    assert [(each.at, each.spent) for each in story.answers] == [(1, 1), (4, 3)]


def test_the_incumbent_of_a_higher_rung_may_have_a_worse_value() -> None:
    story = tell(
        assigned(0, 0),
        assigned(0, 1, rank=2),
        result(1, 0, 0.2),
        result(1, 1, 0.3),
        assigned(2, 1, rung=1),
        result(3, 1, 0.25, rung=1),
    )
    assert [(each.trial, each.value) for each in story.best] == [(0, 0.2), (1, 0.25)]


def test_what_is_no_number_for_an_axis_is_never_the_incumbent() -> None:
    values = (math.nan, math.inf, -math.inf, -1e300)
    jobs = [(assigned(n, n), result(n + 0.5, n, value)) for n, value in enumerate(values)]
    story = tell(*[each for pair in jobs for each in pair])
    assert story.best == []
    assert all(math.isnan(each.value) for each in story.answers)


def test_the_last_word_on_an_attempt_counts() -> None:
    story = tell(
        assigned(0, 0),
        Lost(5, 1),
        Failure(5, 0, 0, 1, 1, FailureKind.LOST, "silent"),
        assigned(5, 0, attempt=2, rank=2),
        Back(7, 1),
        result(8, 0, 0.5),
        Late(9, 0, 0, 2, 2),
    )
    told = [(each.rank, each.begun, each.ended, each.fate) for each in story.attempts]
    assert told == [(1, 0, 8, Fate.RESULT), (2, 5, 9, Fate.LATE)]
    assert [(each.rank, each.begun, each.ended) for each in story.absences] == [(1, 5, 7)]


def test_a_restart_cuts_what_was_in_work_and_ends_absences() -> None:
    story = tell(
        assigned(0, 0), Lost(1, 2), started(4), assigned(5, 0, attempt=2), Joined(6, 1, "", 1)
    )
    fates = [(each.begun, each.ended, each.fate) for each in story.attempts]
    assert fates == [(0, 4, Fate.CUT), (5, 6, Fate.OPEN)]
    assert (story.restarts, story.absences[0].ended) == ([4], 4)


def test_learning_curves_have_what_was_reported_and_the_results() -> None:
    points = [
        Point(1, {"loss": 0.9}),
        Point(2, {"loss": 0.7, "other": 1.0}),
        Point(4, {"other": 2}),
    ]
    story = tell(assigned(0, 0), Curve(1, 0, 0, 1, points), result(2, 0, 0.8))
    assert story.curves == {0: [(1, 0.8), (2, 0.7)]}


def test_shares_tell_what_brought_a_result_from_what_came_to_nothing() -> None:
    story = tell(
        Joined(0, 2, "", 1),
        assigned(0, 0),
        Failure(2, 0, 0, 1, 1, FailureKind.EXCEPTION, "no"),
        assigned(2, 0, attempt=2),
        result(5, 0, 0.5, attempt=2),
    )
    first, second = series.shares(story)
    assert msgspec.structs.astuple(first) == (1, 1, 3, 2)
    assert second == series.Share()


def test_spans_are_counted_exactly() -> None:
    found = in_work([0.0, 0.5, 3.0], [4.0, 1.5, 3.25], np.linspace(0.0, 4.0, 5))
    assert found.tolist() == [1.5, 1.5, 1.0, 1.25]


def test_thinning_keeps_the_last_and_no_more_than_it_may() -> None:
    assert series.thinned(range(10), 3) == [2, 5, 9]
    assert series.thinned(range(3), 3) == [0, 1, 2]


# -- looks -----------------------------------------------------------------------------------------


def lightness(colour: str) -> float:
    """Turn a colour into the grey that a printer makes of it, 0 to 1."""
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


@pytest.mark.parametrize("colours", [style.PALETTE, *map(style.shades, range(1, 6))])
def test_colours_differ_in_grey_from_each_other_and_from_paper(colours: list[str]) -> None:
    greys = sorted(map(lightness, colours))
    assert all(
        after - before > 0.08 for before, after in zip(greys, [*greys[1:], 1.0], strict=True)
    )


def test_what_goes_with_a_colour_differs_too() -> None:
    for kinds in (style.LINES, style.MARKERS, style.PALETTE):
        assert len(set(kinds)) == len(style.PALETTE)


def test_names_are_no_formulas_and_need_no_glyph_that_is_missing(tmp_path: Path) -> None:
    figure, (panel,) = style.new_figure("$x_1$ and \\frac{$", "中\n\x1b[31m $")
    panel.set_xlabel(style.plain("$\\nonsense{$"))
    assert style.save(figure, tmp_path / "odd", ["png"]) == [tmp_path / "odd.png"]


def test_the_same_figure_is_the_same_svg(tmp_path: Path) -> None:
    run = run_of(assigned(0, 0), result(1, 0, 0.5))
    texts = []
    for place in ("one", "two"):
        with style.styled():
            figure = incumbent([run])
        assert isinstance(figure, Figure)
        (file,) = style.save(figure, tmp_path / place, ["svg"])
        texts.append(file.read_bytes())
    assert texts[0] == texts[1]


# -- figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([], []),
        ([Joined(1, 1, "node1", 1)], []),
        ([assigned(0, 0)], ["ranks", "rungs", "timeline"]),
        ([assigned(0, 0), result(0, 0, 1)], sorted({*NAMES} - {"throughput"})),
        ([assigned(0, 0), result(1, 0, math.nan)], ["ranks", "rungs", "throughput", "timeline"]),
        ([assigned(0, 0), result(1, 0, 0.5)], list(NAMES)),
        ([assigned(0, 0), result(1, 0, 0.5), assigned(1, 1), result(2, 1, -1e30)], list(NAMES)),
    ],
    ids=["begun", "joined", "in work", "no time", "no number", "one", "far apart"],
)
def test_a_figure_that_has_nothing_to_show_is_left_out(
    decisions: list[Decision], expected: list[str]
) -> None:
    assert drawn(run_of(*decisions)) == expected


def test_metrics_that_do_not_compare_are_not_drawn_together() -> None:
    one = run_of(assigned(0, 0), result(1, 0, 0.5))
    study = msgspec.structs.replace(one.summary.study, mode="max")
    other = Run("other", msgspec.structs.replace(one.summary, study=study), one.story)
    with style.styled():
        assert isinstance(incumbent([one, one]), Figure)
        assert incumbent([one, other]) == "the runs have different metrics"


def answered(*losses: float) -> Run:
    """Make a run of one rung, a trial for each loss."""
    jobs = [(assigned(at, at), result(at + 0.5, at, loss)) for at, loss in enumerate(losses)]
    return run_of(*[each for pair in jobs for each in pair])


def test_a_title_names_the_first_study_and_counts_the_others() -> None:
    one = answered(0.5, 0.25)

    def named_as(name: str) -> Run:
        study = msgspec.structs.replace(one.summary.study, name=name)
        return Run(name, msgspec.structs.replace(one.summary, study=study), one.story)

    name = one.summary.study.name
    titles = {
        name: [one, one],
        f"{name} and 1 other": [one, named_as("b"), one],
        f"{name} and 2 others": [one, named_as("b"), named_as("c")],
    }
    for title, runs in titles.items():
        said, below = described(runs, "what", metric=False)
        assert (said, below) == (f"{title}: what, {len(runs)} runs", "")


def marks_in(panel: Axes) -> list[tuple[str, int]]:
    """Name the lots of dots of a panel, and count how many of each are in sight."""
    low, high = panel.get_ylim()
    lots = [it for it in panel.collections if isinstance(it, PathCollection)]
    found: list[tuple[str, int]] = []
    for lot in lots:
        heights = np.asarray(lot.get_offsets())[:, 1]
        ends = (low, high) if lot.get_offset_transform() == panel.transData else (0.0, 1.0)
        seen = sum(ends[0] <= height <= ends[1] for height in heights)
        found += [(str(lot.get_label()), seen)] if seen else []
    return found


@pytest.mark.parametrize("far", [[], [90.0], [90.0, 70.0, 1e30]], ids=len)
def test_no_result_disappears_beyond_the_axis(far: list[float]) -> None:
    run = answered(*[0.5 + n / 100 for n in range(24)], *far, math.nan)
    edge = [(f"{len(far)} worse than shown, at the edge", len(far))] if far else []
    with style.styled():
        page, lines, best = next(hyperparameters(run)), curves(run), incumbent([run])
    for figure in (page, lines, best):
        assert isinstance(figure, Figure)
        marks = [it for it in marks_in(figure.axes[0]) if "edge" in it[0]]
        assert marks == edge
    inside = [("resource 1", 24), ("incumbent", 1)]
    assert marks_in(page.axes[0]) == [*inside, *edge]


def test_an_axis_has_room_for_all_but_outliers() -> None:
    evenly, two_lots = [n / 10 for n in range(100)], [0.62] * 27 + [0.6] * 9
    maximized = Goal("accuracy", "max")
    assert series.window(evenly, GOAL) == (0, 9.9)
    assert series.window([*evenly, 1000.0], GOAL) == (0, 9.9)
    assert series.window(two_lots, maximized) == (0.6, 0.62)
    assert series.window([0.5, 1e30], GOAL) == (0.5, 1e30), "of few none is an outlier"


def test_a_legend_names_each_run_once() -> None:
    one = answered(0.5, 0.4)
    runs = [one, Run("other", one.summary, one.story)]
    with style.styled():
        for figure in (incumbent(runs), throughput(runs), ranks(runs)):
            assert isinstance(figure, Figure)
            (told,) = figure.legends
            assert [text.get_text() for text in told.get_texts()] == ["mine", "other"]


def test_figures_of_a_hundred_thousand_trials_stay_small(tmp_path: Path) -> None:
    decisions: list[Decision] = []
    ranks = 64
    for trial in range(100_000):
        at, rank = trial / ranks, trial % ranks + 1
        decisions += [assigned(at, trial, rank=rank)]
        if trial % 50:
            decisions += [result(at + 0.9, trial, trial % 997 / 997)]
        else:
            kind = FailureKind.EXCEPTION
            decisions += [Failure(at + 0.5, trial, 0, 1, rank, kind, "no", final=True)]
    with style.styled():
        for name, figure in figures_of(run_of(*decisions)):
            assert isinstance(figure, Figure)
            (file,) = style.save(figure, tmp_path / name, ["svg"])
            assert file.stat().st_size < 2_000_000, name


# -- the command -----------------------------------------------------------------------------------


def plot(
    folder: Path, *words: str, program: str = "-m hpmpi plot"
) -> subprocess.CompletedProcess[str]:
    """Ask for figures."""
    return finish(start([sys.executable, "-W", "error", *program.split(), *words], folder))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a small study to its end."""
    study = Study(tmp_path_factory.mktemp("plot"), epoch_s=0.0)
    done = study.run(study.command("--workers", "2"))
    assert done.returncode == 0, done.stderr
    return study.out


def test_every_figure_of_a_real_run_is_an_image(complete: Path, tmp_path: Path) -> None:
    done = plot(tmp_path, str(complete))
    files = [complete / "plots" / f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == sorted(map(str, files))
    for file in files:
        if file.suffix == ".png":
            assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        else:
            assert ET.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    assert run_folder.read(complete).decisions, "a folder with figures in it is a run's still"


def test_several_runs_are_compared_where_it_is_said(complete: Path, tmp_path: Path) -> None:
    program = f"{ROOT / 'scripts' / 'plot.py'}"
    words = ("--out", "all", "--format", "svg")
    other = tmp_path / "b"
    other.mkdir()
    (other / run_folder.JOURNAL).write_bytes(
        b"".join(map(line_of, run_folder.read(complete).decisions))
    )
    done = plot(tmp_path, str(complete), str(other), *words, program=program)
    compared = [f"all/compared-{name}.svg" for name in ("incumbent", "throughput", "ranks")]
    single = [f"all/{run}/{name}.svg" for run in (complete.name, "b") for name in NAMES]
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == sorted(compared + single)


def test_what_can_not_be_drawn_is_said_in_one_message(complete: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words, told in (
        (["nowhere"], "there is no run in nowhere"),
        ([str(complete), "--out", "file"], "file/curves.png can't be written: "),
        ([str(complete), "--format", "gif"], "'gif' must be png, svg, or both"),
    ):
        done = plot(tmp_path, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_no_link_in_a_run_folder_is_followed(complete: Path, tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder in (run, elsewhere):
        folder.mkdir()
    (run / run_folder.JOURNAL).write_bytes((complete / run_folder.JOURNAL).read_bytes())
    (run / "plots").symlink_to(elsewhere)
    done = plot(tmp_path, str(run))
    assert (done.returncode, list(elsewhere.iterdir())) == (2, [])
    assert "is a symbolic link" in done.stderr


def test_where_matplotlib_is_missing_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from hpmpi.__main__ import main; main()"
    done = finish(start([sys.executable, "-c", code, "plot", "nowhere"], tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hpmpi: plot needs matplotlib (")
    assert "pip install 'hpmpi[plot]'" in done.stderr


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert list(named([tmp_path / "a" / "x", tmp_path / "b" / "x"])) == ["a/x", "b/x"]


def test_only_figures_load_matplotlib(complete: Path) -> None:
    code = f"import sys; from hpmpi import cli; cli.main(['show', {str(complete)!r}]); "
    code += "assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_a_run_that_goes_on_is_drawn_from_what_there_is(tmp_path: Path) -> None:
    decisions: list[Decision] = [started(), assigned(0, 0), result(1, 0, 0.5), assigned(1, 1)]
    (tmp_path / run_folder.JOURNAL).write_bytes(b"".join(map(line_of, decisions)))
    assert drawn(look(tmp_path, "mine")) == list(NAMES)


def test_lists_and_tables_are_categories_by_their_json() -> None:
    values = [[64], [64, 32], {"name": "sgd"}, 1, True]
    entry = 'type = "choice"\nvalues = [[64], [64, 32], { name = "sgd" }, 1, true]'
    decisions: list[Decision] = []
    for trial, value in enumerate(values):
        config: Config = {"model.hidden": value}
        decisions.append(Assigned(trial, trial, 0, 1, 1, 1, config))
        decisions.append(result(trial + 0.5, trial, float(trial)))
    study = settings.parse(SETTINGS + f"[space.model.hidden]\n{entry}\n")
    run = Run("mine", sum_up(study, [started(), *decisions]), tell(*decisions))
    with style.styled():
        (figure,) = hyperparameters(run)
        (panel,) = figure.axes
        labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels == ["[64]", "[64,32]", '{"name":"sgd"}', "1", "True"]
    assert panel.get_xlabel() == "model.hidden"
