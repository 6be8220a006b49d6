"""The page of `hpmpi report`: what it tells, that it is text, and that anybody can read it."""

import shutil
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from hpmpi.model.messages import FailureKind, Outcome
from hpmpi.model.records import Line
from hpmpi.model.trial import Config
from hpmpi.storage import run_folder
from hpmpi.storage.journal import rows_of, text_of
from hpmpi.views.report import page, told
from hpmpi.views.run_view import sum_up
from tests.harness import histories
from tests.harness.runs import finish, start

EVIL = "<script>alert('x')</script><b id=evil>&amp;"
SETTINGS = f"""
name = "{EVIL}"
objective = "train.py:train"
metric = "{EVIL}"
[space]
"{EVIL}" = {{ type = "choice", values = ["{EVIL}", "b"] }}
rate = {{ type = "float", low = 1e-4, high = 1.0, log = true }}
[scheduler]
unit = "epochs"
"""
VOID = {"meta", "input", "br", "hr", "img", "link"}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
LIMIT_S = 250


class Reader(HTMLParser):
    """Reads a page, and refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        """Read it."""
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that is closed."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close a tag."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text by the tag that it is in."""
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """List the attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def journal(trials: int = 24) -> list[Line]:
    """Write the journal of a study whose every text would be code."""
    lines: list[Line] = [histories.started(settings=SETTINGS, rungs=[1, 3])]
    lines += [histories.ready(rank, EVIL) for rank in (1, 2)]
    for trial in range(trials):
        config: Config = {EVIL: EVIL, "rate": 0.001 * (trial + 1)}
        lines.append(histories.assigned(trial, rank=1 + trial % 2, at=trial, config=config))
        if trial % 6 == 5:
            kind, error = FailureKind.EXCEPTION, f"{EVIL}: no\n\n{EVIL}"
            lines.append(histories.failure(trial, kind, error, at=trial + 0.5, final=True))
        else:
            lines.append(histories.result(trial, {EVIL: 1 / (trial + 1)}, at=trial + 0.5))
    return [*lines, histories.ended(Outcome.COMPLETE, trials + 1)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have a run folder."""
    folder = tmp_path_factory.mktemp("evil & <b>") / "run"
    folder.mkdir()
    (folder / run_folder.JOURNAL).write_bytes(text_of(rows_of(journal())))
    return folder


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    """Write its page."""
    return page.write([run]).read_text()


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    """Read its page."""
    return Reader(text)


def test_nothing_of_a_study_or_an_error_is_code(read: Reader, text: str) -> None:
    ours = (page.HERE / "page.js").read_text()
    assert read.texts["script"] == [ours]
    assert b64encode(sha256(ours.encode()).digest()).decode() in text, "no other script is run"
    assert [it for tag, it in read.tags if it.get("id") == "evil" or tag == "b"] == []
    shown = {tag for tag, texts in read.texts.items() if EVIL in "".join(texts)}
    assert {"h1", "td", "dd", "code", "summary"} <= shown, "all of it is there, as text"


def test_the_page_needs_nothing_but_itself(read: Reader) -> None:
    for tag, attributes in read.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), tag
    assert read.all("link") == []


def test_all_names_are_one_thing_each_and_all_that_is_named_is_there(
    read: Reader, text: str
) -> None:
    names = Counter(it["id"] for _, it in read.tags if "id" in it)
    assert [name for name, times in names.items() if times > 1] == []
    used = {
        (it.get(key) or "").removeprefix("#")
        for _, it in read.tags
        for key in ("href", "xlink:href", "for", "aria-labelledby")
        if key in it and not (it[key] or "").startswith("data:")
    }
    used |= {part.partition(")")[0] for part in text.split("url(#")[1:]}
    assert used <= names.keys()


def test_a_screen_reader_is_told_what_stands_where(read: Reader) -> None:
    assert len(read.all("caption")) == len(read.all("table")) >= 2
    assert all(it.get("scope") in ("col", "row") for it in read.all("th"))
    assert all(it.get("role") == "img" and it.get("aria-label") for it in read.all("svg"))
    assert len(read.all("figcaption")) == len(read.all("svg")) >= 8
    levels = [int(tag[1]) for tag, _ in read.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_page_of_few_trials_goes_by_mail_and_one_of_many_has_the_first(text: str) -> None:
    assert len(text.encode()) < 500_000
    lines: list[Line] = []
    for trial in range(told.MOST_ROWS + 7):
        lines += [histories.assigned(trial, at=trial), histories.result(trial, 1.0, at=trial)]
    board = told.leaderboard(histories.history(*lines))
    assert (len(board.rows), board.left_out) == (told.MOST_ROWS, 7)


def test_it_says_how_far_it_came_and_how_to_go_on(tmp_path: Path) -> None:
    history = histories.history(
        *(histories.assigned(0), histories.result(0, 0.5), histories.assigned(1, at=3)),
        *(histories.result(1, 0.75, at=8), histories.draining("the allocation ends", at=9)),
    )
    found = told.tell(sum_up(history), tmp_path)
    assert found.state == "interrupted"
    assert found.why[-1] == "draining: the allocation ends"
    facts = dict(found.facts)
    assert facts["Best"] == "loss 0.5 at resource 1"
    assert facts["Last improved"] == "after 2 s (22% of the time); 1 job since have not"
    assert found.todo[0] == ("Go on from here", f"hpmpi run mine.toml --out {tmp_path}")
    assert sum(part.share for part in found.time) == pytest.approx(100)


def test_several_runs_are_compared_on_one_page(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    text = page.write([run, other], tmp_path / "both" / "page.html").read_text()
    read = Reader(text)
    assert text.count('<section class="run"') == 2
    assert "".join(read.texts["h1"]) == "2 runs"
    names = Counter(it["id"] for _, it in read.tags if "id" in it)
    assert max(names.values()) == 1


def test_the_command_names_the_file_that_it_has_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / run_folder.JOURNAL).write_bytes(text_of(rows_of(journal(1))))
    done = finish(start([sys.executable, "-m", "hpmpi", "report", "run"], tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "run/report.html\n", "")
    assert Reader((folder / "report.html").read_text()).all("table")


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_what_is_missing_is_said_with_how_to_get_it(missing: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from hpmpi.__main__ import main; main()"
    done = finish(start([sys.executable, "-c", code, "report", "nowhere"], tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hpmpi: report needs jinja2 and matplotlib (")
    assert "pip install 'hpmpi[plot]'" in done.stderr


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium")
def test_a_browser_runs_our_script_and_no_other(text: str, tmp_path: Path) -> None:
    assert BROWSER is not None
    sort = 'for (let n = 0; n < 2; n++) document.querySelectorAll("th button")[1].click();'
    ours = (page.HERE / "page.js").read_text()
    hashes = [b64encode(sha256(it.encode()).digest()).decode() for it in (ours, ours + sort)]
    changed = text.replace(ours, ours + sort).replace(hashes[0], hashes[1])
    (tmp_path / "page.html").write_text(changed)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    done = subprocess.run(
        [BROWSER, *flags, "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    read = Reader(done.stdout)
    sorted_by = [it.get("aria-sort") for it in read.all("th") if "aria-sort" in it]
    assert sorted_by == ["descending"]
    assert len(read.all("button")) == 7, "place, trial, metric, epochs, two of the space, status"
    assert [it for it in read.all("div") if it.get("class") == "filter" and "hidden" in it] == []
