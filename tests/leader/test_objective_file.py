"""What a run says where its objective's file has changed since its last start."""

from pathlib import Path

from hpmpi.leader import objective_file
from hpmpi.study import checks, references
from hpmpi.study.settings import Settings
from tests.harness.runs import Study

IS_ANOTHER = "train.py is not what it was at the last start"


def test_a_changed_objective_is_told_when_a_run_goes_on_and_when_it_is_complete(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    few = ["--workers", "2", "--set", "scheduler.max_resource=1", "--set", "stop.max_trials=2"]
    more = [*few, "--set", "stop.max_trials=4"]
    assert IS_ANOTHER not in study.run(study.command(*few)).stderr
    assert IS_ANOTHER not in study.run(study.command(*few)).stderr
    objective = tmp_path / "train.py"
    objective.write_text(f"{objective.read_text()}\n")
    complete = study.run(study.command(*few)).stderr
    assert "nothing was run" in complete
    assert f"{IS_ANOTHER}: --fresh runs the study with what it is now" in complete
    goes_on = study.run(study.command(*more))
    assert (goes_on.returncode, len(study.results)) == (0, 4)
    assert f"{IS_ANOTHER}: the results so far are of what it was" in goes_on.stderr
    assert IS_ANOTHER not in study.run(study.command(*more)).stderr


def test_the_file_of_a_module_is_found_without_importing_it(tmp_path: Path) -> None:
    package = tmp_path / "pack" / "inner"
    package.mkdir(parents=True)
    for file in (package / "__init__.py", package / "train.py", tmp_path / "alone.py"):
        file.write_text("raise RuntimeError\n")
    found = {
        name: references.file_of(f"{name}:train", tmp_path)
        for name in ("pack.inner.train", "pack.inner", "alone", "alone.py", "nowhere")
    }
    assert found == {
        "pack.inner.train": package / "train.py",
        "pack.inner": package / "__init__.py",
        "alone": tmp_path / "alone.py",
        "alone.py": tmp_path / "alone.py",
        "nowhere": None,
    }


def test_what_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    study = Study(tmp_path)
    settings = checks.read(study.file, [])
    assert objective_file.digest(settings, tmp_path) != ""
    (tmp_path / "train.py").unlink()
    assert objective_file.digest(settings, tmp_path) == ""


def test_the_file_of_a_command_is_the_first_that_it_names(tmp_path: Path) -> None:
    script = tmp_path / "fit.sh"
    script.write_text("true\n")
    study = Settings("mine", {}, command=["sh", "fit.sh", "{x}"])
    assert objective_file.file_of(study, tmp_path) == script
    before = objective_file.digest(study, tmp_path)
    script.write_text("false\n")
    assert before
    assert objective_file.digest(study, tmp_path) != before
    assert objective_file.digest(Settings("mine", {}, command=["true"]), tmp_path) == ""
