"""What `hpmpi plot` draws, from which numbers, and what it says where it can't."""

import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hpmpi.history import series
from hpmpi.history.attempts import Fate
from hpmpi.model.messages import FailureKind, Point
from hpmpi.model.records import Line
from hpmpi.model.trial import Config, Goal
from hpmpi.storage import run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.views.figures import style
from hpmpi.views.figures.bins import in_work
from hpmpi.views.figures.curves import curves
from hpmpi.views.figures.hyperparameters import hyperparameters
from hpmpi.views.figures.incumbent import incumbent
from hpmpi.views.figures.ranks import ranks
from hpmpi.views.figures.run import Run, described
from hpmpi.views.figures.throughput import throughput
from hpmpi.views.figures.timeline import timeline
from hpmpi.views.plot import figures_of, look, named
from hpmpi.views.run_view import sum_up
from tests.harness import histories
from tests.harness.histories import back, failure, late, lost, progress, ready, suspension
from tests.harness.runs import ROOT, Study, finish, start

GOAL = Goal("loss", "min")
NAMES = ("curves", "hyperparameters", "incumbent", "ranks", "rungs", "throughput", "timeline")
"""What there is of a run with few results; with more there is importance as well."""

SETTINGS = """
name = "mine"
objective = "train.py:train"
metric = "loss"
[space]
x = { type = "float", low = 1e-4, high = 1.0, log = true }
n = { type = "int", low = 1, high = 5 }
kind = { type = "choice", values = ["a", "b", 1, true] }
"""


def started(at: float = 0.0) -> Line:
    """Write a start."""
    return histories.started(at, ranks=64, rungs=[1, 3], settings=SETTINGS)


def assigned(at: float, trial: int, rung: int = 0, attempt: int = 1, rank: int = 1) -> Line:
    """Hand a job out."""
    config: Config = {"x": 0.01 * (trial % 97 + 1), "n": trial % 5 + 1, "kind": "ab"[trial % 2]}
    first = rung == 0 and attempt == 1
    return histories.assigned(trial, rung, attempt, rank, at=at, config=config if first else None)


def result(at: float, trial: int, loss: float, rung: int = 0, attempt: int = 1) -> Line:
    """Answer a job, with a checkpoint."""
    return histories.result(trial, loss, rung, attempt, at=at, saved=3**rung)


def run_of(*lines: Line, name: str = "mine", settings: str = SETTINGS) -> Run:
    """Make the run of a journal, as `plot` does from a folder."""
    history = histories.history(*lines, ranks=64, rungs=[1, 3], settings=settings)
    return Run.of(name, sum_up(history))


HALF = Point(0, {"loss": 0.75})
"""What a trial reports before it has spent anything."""


def drawn(run: Run) -> list[str]:
    """Name the figures that a run has."""
    with style.styled():
        found = dict(figures_of(run, {*NAMES}))
    return sorted(name for name, figure in found.items() if isinstance(figure, Figure))


# -- series ----------------------------------------------------------------------------------------


def test_resource_that_a_checkpoint_has_is_spent_once() -> None:
    run = run_of(
        assigned(0, 0),
        result(1, 0, 0.5),
        assigned(1, 0, rung=1),
        suspension(0, 2, rung=1, at=2),
        assigned(3, 0, rung=1, attempt=2),
        result(4, 0, 0.4, rung=1, attempt=2),
    )
    assert [(answer.at, answer.spent) for answer in run.answers] == [(1, 1), (4, 3)]


def test_the_incumbent_of_a_higher_rung_may_have_a_worse_value() -> None:
    run = run_of(
        assigned(0, 0),
        assigned(0, 1, rank=2),
        result(1, 0, 0.2),
        result(1, 1, 0.3),
        assigned(2, 1, rung=1),
        result(3, 1, 0.25, rung=1),
    )
    assert [(answer.trial, answer.value) for answer in run.best] == [(0, 0.2), (1, 0.25)]


def test_what_is_no_number_for_an_axis_is_never_the_incumbent() -> None:
    values = (math.nan, math.inf, -math.inf, -1e300)
    jobs = [(assigned(n, n), result(n + 0.5, n, value)) for n, value in enumerate(values)]
    run = run_of(*[line for pair in jobs for line in pair])
    assert run.best == []
    assert all(math.isnan(answer.value) for answer in run.answers)


def test_the_last_word_on_an_attempt_counts() -> None:
    run = run_of(
        assigned(0, 0),
        lost(1, (0, 0, 1), at=5),
        assigned(5, 0, attempt=2, rank=2),
        back(1, (0, 0, 1), at=7),
        result(8, 0, 0.5),
        late(0, number=2, rank=2, at=9),
    )
    told = [(it.rank, it.begun, it.end(run.ended), it.fate) for it in run.attempts]
    assert told == [(1, 0, 8, Fate.RESULT), (2, 5, 9, Fate.LATE)]
    absences = run.history.ranks.absences
    assert [(it.rank, it.begun, it.end(run.ended)) for it in absences] == [(1, 5, 7)]


def test_a_restart_cuts_what_was_in_work_and_ends_absences() -> None:
    run = run_of(
        assigned(0, 0), lost(2, at=1), started(4), assigned(5, 0, attempt=2), ready(1, "", at=6)
    )
    fates = [(it.begun, it.end(run.ended), it.fate) for it in run.attempts]
    assert fates == [(0, 4, Fate.CUT), (5, 6, Fate.OPEN)]
    assert run.history.ranks.absences[0].ended == 4


def test_learning_curves_have_what_was_reported_and_the_results() -> None:
    points = [
        Point(1, {"loss": 0.9}),
        Point(2, {"loss": 0.7, "other": 1.0}),
        Point(4, {"other": 2}),
    ]
    run = run_of(assigned(0, 0), progress(0, *points), result(2, 0, 0.8))
    assert run.curves == {0: [(1, 0.8), (2, 0.7)]}


def test_shares_tell_what_brought_a_result_from_what_came_to_nothing() -> None:
    run = run_of(
        ready(2),
        assigned(0, 0),
        failure(0, at=2),
        assigned(2, 0, attempt=2),
        result(5, 0, 0.5, attempt=2),
    )
    first, second = series.shares(run.history)
    assert msgspec.structs.astuple(first) == (1, 1, 3, 2)
    assert second == series.RankShare()


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
    ("lines", "expected"),
    [
        ([], []),
        ([ready(1)], []),
        ([assigned(0, 0)], ["ranks", "rungs", "timeline"]),
        ([assigned(0, 0), result(0, 0, 1)], sorted({*NAMES} - {"curves", "throughput"})),
        ([assigned(0, 0), result(1, 0, math.nan)], ["ranks", "rungs", "throughput", "timeline"]),
        ([assigned(0, 0), progress(0, HALF), result(1, 0, 0.5)], list(NAMES)),
        (
            [
                *(assigned(0, 0), progress(0, HALF), result(1, 0, 0.5)),
                *(assigned(1, 1), result(2, 1, -1e30)),
            ],
            list(NAMES),
        ),
    ],
    ids=["begun", "joined", "in work", "no time", "no number", "one", "far apart"],
)
def test_a_figure_that_has_nothing_to_show_is_left_out(
    lines: list[Line], expected: list[str]
) -> None:
    assert drawn(run_of(*lines)) == expected


def test_restarts_and_lost_ranks_are_marked() -> None:
    run = run_of(
        *(assigned(0, 0), lost(2, at=1), started(4), assigned(5, 0, attempt=2)),
        *(result(6, 0, 0.5, attempt=2), started(7), ready(1, at=8)),
    )
    with style.styled():
        for figure in (timeline(run), throughput([run])):
            assert figure is not None
            dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
            assert [np.asarray(line.get_xdata())[0] for line in dashed] == [4.0, 7.0]


def test_metrics_that_do_not_compare_are_not_drawn_together() -> None:
    lines = (assigned(0, 0), result(1, 0, 0.5))
    one, other = run_of(*lines), run_of(*lines, name="other", settings='mode = "max"\n' + SETTINGS)
    with style.styled():
        assert isinstance(incumbent([one, one]), Figure)
        assert incumbent([one, other]) == "the runs have different metrics"


def answered(*losses: float, name: str = "mine") -> Run:
    """Make a run of one rung, a trial for each loss, which it had reported half way before."""
    jobs = [
        (assigned(at, at), progress(at, Point(0, {"loss": loss})), result(at + 0.5, at, loss))
        for at, loss in enumerate(losses)
    ]
    settings = SETTINGS.replace("mine", name)
    return run_of(*[line for pair in jobs for line in pair], name=name, settings=settings)


def test_a_title_names_the_first_study_and_counts_the_others() -> None:
    one = answered(0.5, 0.25)
    name = one.summary.study.name
    titles = {
        name: [one, one],
        f"{name} and 1 other": [one, answered(0.5, 0.25, name="b"), one],
        f"{name} and 2 others": [one, answered(0.5, 0.25, name="b"), answered(0.5, 0.25, name="c")],
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
    for figure in (page, best):
        assert isinstance(figure, Figure)
        marks = [it for it in marks_in(figure.axes[0]) if "edge" in it[0]]
        assert marks == edge
    assert isinstance(lines, Figure)
    beyond = [(f"{len(far)} curves go beyond the axis", len(far))] if far else []
    assert [it for it in marks_in(lines.axes[0]) if "beyond" in it[0]] == beyond
    inside = [("resource 1", 24), ("incumbent", 1)]
    assert marks_in(page.axes[0]) == [*inside, *edge]


def test_an_axis_has_room_for_all_but_outliers() -> None:
    evenly, two_lots = [n / 10 for n in range(100)], [0.62] * 27 + [0.6] * 9
    maximized = Goal("accuracy", "max")
    assert series.window(evenly, GOAL) == (0, 9.9)
    assert series.window([*evenly, 1000.0], GOAL) == (0, 9.9)
    assert series.window(two_lots, maximized) == (0.6, 0.62)
    assert series.window([0.5, 1e30], GOAL) == (0.5, 1e30), "of few none is an outlier"


def test_a_metric_over_decades_has_a_log_axis_and_one_that_is_not_has_none() -> None:
    decades = [0.02 * 1.3**n for n in range(24)]
    assert series.reach_of([*decades, 4e10], GOAL) == series.Reach(0.02, max(decades), log=True)
    alike = [0.5 + n / 100 for n in range(24)]
    for values in ([0.0, *decades], alike, [*alike, 4e10]):
        reach = series.reach_of(values, GOAL)
        assert reach is not None
        assert not reach.log
    with style.styled():
        figures = (incumbent([answered(*decades)]), curves(answered(*decades)))
    for figure in figures:
        assert isinstance(figure, Figure)
        assert figure.axes[0].get_yscale() == "log"


def test_every_axis_has_numbers_that_do_not_overlap() -> None:
    settings = SETTINGS.replace("low = 1, high = 5", "low = 64, high = 512, log = true")
    lines: list[Line] = []
    for trial in range(30):
        config: Config = {"x": 0.01 * (trial + 1), "n": 64 + trial * 15, "kind": "a"}
        points = [Point(epoch, {"loss": trial + 1 / epoch}) for epoch in range(1, 21)]
        lines.append(histories.assigned(trial, at=trial, config=config, resource=20))
        lines += [progress(trial, *points), result(trial + 0.5, trial, float(trial))]
    run = run_of(*lines, settings=settings)
    with style.styled():
        for name, figure in figures_of(run):
            assert isinstance(figure, Figure), name
            figure.draw_without_rendering()
            for panel in figure.axes:
                for axis in (panel.xaxis, panel.yaxis):
                    check_labels(figure, axis, name)


def check_labels(figure: Figure, axis: Axis, name: str) -> None:
    """Have the labels of an axis lie side by side, and within the picture."""
    low, high = sorted(axis.get_view_interval())
    ticks = [it for it in axis.get_major_ticks() if low <= it.get_loc() <= high]
    labels = [it.label1 for it in ticks if it.label1.get_text() and it.label1.get_visible()]
    boxes = [it.get_window_extent() for it in labels if it.get_rotation() in (0, 360)]
    assert all(not one.overlaps(other) for one, other in pairwise(boxes)), name
    assert all(figure.bbox.padded(1).contains(*box.min) for box in boxes), name


@pytest.mark.parametrize("width", [3.4, 7.0])
def test_on_a_narrow_paper_nothing_leaves_the_picture(width: float) -> None:
    run = answered(*[1 / (n + 1) for n in range(30)])
    with style.styled(style.Paper(width, titled=False)):
        for name, figure in figures_of(run):
            assert isinstance(figure, Figure), name
            figure.draw_without_rendering()
            assert figure.get_figwidth() == width
            assert figure.texts == [], "no title"
            for told in figure.legends:
                assert told.get_window_extent().x1 <= figure.bbox.x1 + 1, name


def test_hyperparameters_that_have_no_panel_are_counted() -> None:
    names = [f"p{number:03}" for number in range(120)]
    space = "".join(f'{name} = {{ type = "float", low = 0.0, high = 1.0 }}\n' for name in names)
    settings = f'name = "wide"\nobjective = "train.py:train"\nmetric = "loss"\n[space]\n{space}'
    config: Config = dict.fromkeys(names, 0.5)
    run = run_of(
        histories.assigned(0, config=config), result(2, 0, 0.5), settings=settings, name="wide"
    )
    with style.styled():
        page = next(hyperparameters(run))
    assert "the first 108 of 120" in page.texts[0].get_text()


def test_a_legend_names_each_run_once() -> None:
    one = answered(0.5, 0.4)
    runs = [one, answered(0.5, 0.4, name="other")]
    with style.styled():
        for figure in (incumbent(runs), throughput(runs), ranks(runs)):
            assert isinstance(figure, Figure)
            (told,) = figure.legends
            assert [text.get_text() for text in told.get_texts()] == ["mine", "other"]


def test_figures_of_a_hundred_thousand_trials_stay_small(tmp_path: Path) -> None:
    lines: list[Line] = []
    ranks = 64
    for trial in range(100_000):
        at, rank = trial / ranks, trial % ranks + 1
        lines += [assigned(at, trial, rank=rank)]
        if trial % 50:
            lines += [result(at + 0.9, trial, trial % 997 / 997)]
        else:
            lines += [failure(trial, FailureKind.EXCEPTION, "no", rank=rank, at=at, final=True)]
    names = {*NAMES, "importance", "parallel"} - {"curves"}
    with style.styled():
        for name, figure in figures_of(run_of(*lines), names):
            assert isinstance(figure, Figure), name
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
    assert done.returncode == 0
    told = [line.rpartition("/")[2] for line in done.stderr.splitlines()]
    parallel = "parallel: a line through the hyperparameters takes two of them"
    assert told == [parallel, "importance: no rung has 20 results yet"]
    assert sorted(done.stdout.split()) == sorted(map(str, files))
    for file in files:
        if file.suffix == ".png":
            assert file.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        else:
            assert ET.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    assert run_folder.read(complete).lines, "a folder with figures in it is a run's still"


def test_several_runs_are_compared_where_it_is_said(complete: Path, tmp_path: Path) -> None:
    program = f"{ROOT / 'scripts' / 'plot.py'}"
    words = ("--out", "all", "--format", "svg")
    other = tmp_path / "b"
    other.mkdir()
    (other / run_folder.JOURNAL).write_bytes((complete / run_folder.JOURNAL).read_bytes())
    done = plot(tmp_path, str(complete), str(other), *words, program=program)
    compared = [f"all/compared-{name}.svg" for name in ("incumbent", "throughput", "ranks")]
    single = [f"all/{run}/{name}.svg" for run in (complete.name, "b") for name in NAMES]
    assert done.returncode == 0
    assert sorted(done.stdout.split()) == sorted(compared + single)


def test_what_can_not_be_drawn_is_said_in_one_message(complete: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words, told in (
        (["nowhere"], "there is no run in nowhere"),
        ([str(complete), "--out", "file"], "file/curves.png can't be written: "),
        ([str(complete), "--format", "gif"], "'gif' must be png, svg or pdf"),
        ([str(complete), "--only", "curve"], "--only curve is no figure; there is: incumbent,"),
        ([str(complete), "--width", "0"], "'0' must be a width in inches, from 1.5 to 50"),
    ):
        done = plot(tmp_path, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_one_figure_for_a_paper_is_a_pdf_of_its_width(complete: Path, tmp_path: Path) -> None:
    words = ("--only", "curves", "--no-title", "--width", "3.5", "--format", "pdf", "--out", ".")
    done = plot(tmp_path, str(complete), *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "curves.pdf\n", "")
    assert b"/MediaBox [ 0 0 252 " in (tmp_path / "curves.pdf").read_bytes(), "72 points an inch"


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
    code = f"import sys; from hpmpi.cli.main import main; main(['show', {str(complete)!r}]); "
    code += "assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_a_run_that_goes_on_is_drawn_from_what_there_is(tmp_path: Path) -> None:
    lines = [started(), assigned(0, 0), progress(0, HALF), result(1, 0, 0.5), assigned(1, 1)]
    (tmp_path / run_folder.JOURNAL).write_bytes(text_of(rows_of(lines)))
    assert drawn(look(tmp_path, "mine")) == list(NAMES)


def test_lists_and_tables_are_categories_by_their_json() -> None:
    values = [[64], [64, 32], {"name": "sgd"}, 1, True]
    entry = 'type = "choice"\nvalues = [[64], [64, 32], { name = "sgd" }, 1, true]'
    lines: list[Line] = []
    for trial, value in enumerate(values):
        lines.append(histories.assigned(trial, at=trial, config={"model.hidden": value}))
        lines.append(result(trial + 0.5, trial, float(trial)))
    run = run_of(*lines, settings=SETTINGS + f"[space.model.hidden]\n{entry}\n")
    with style.styled():
        (figure,) = hyperparameters(run)
        (panel,) = figure.axes
        labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels == ["[64]", "[64,32]", '{"name":"sgd"}', "1", "True"]
    assert panel.get_xlabel() == "model.hidden"
