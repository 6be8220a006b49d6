"""How a node is divided among its worker ranks: nobody gets what is not his, and nobody nothing."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpmpi.transports import resources
from hpmpi.transports.resources import (
    CUDA,
    HIDDEN,
    HIP,
    LEVEL_ZERO,
    ORDINAL,
    ROCR,
    VARIABLES,
    Place,
    Share,
)

WORKERS = st.integers(1, 20)
PER_TRIAL = st.integers(1, 6)
SAID = st.none() | st.integers(1, 70)
GPUS = st.lists(st.sampled_from([*map(str, range(8)), "GPU-8a41", "MIG-41b3/0/1"]), unique=True)


def seeing(*gpus: str, cores: int = 4, name: str = CUDA) -> Place:
    """See these GPUs."""
    return Place(frozenset(range(cores)), visible={name: gpus})


def given_out(places: list[Place], gpus_per_trial: int | None, name: str = CUDA) -> list[list[str]]:
    """List what each worker rank is given of the GPUs; those that are refused come last."""
    shares = resources.divide(places)
    refusals = [resources.refusal(share, gpus_per_trial) for share in shares]
    fit = [share for share, said in zip(shares, refusals, strict=True) if said is None]
    assert refusals[: len(fit)] == [None] * len(fit)
    said = [resources.variables(share, gpus_per_trial) for share in fit]
    return [each[name].split(",") if name in each else [] for each in said]


# -- CPUs ------------------------------------------------------------------------------------------


@given(WORKERS, st.integers(1, 64), SAID, SAID)
def test_ranks_never_have_more_cpus_than_there_are_unless_each_has_one(
    workers: int, cores: int, on_node: int | None, per_task: int | None
) -> None:
    seen = Place(frozenset(range(cores)), on_node, per_task)
    threads = [share.threads for share in resources.divide([seen] * workers)]
    assert len(set(threads)) == 1
    assert sum(threads) <= max(workers, min(cores, on_node or cores))
    assert 1 <= threads[0] <= (per_task or cores)


@pytest.mark.parametrize(
    ("cores", "on_node", "per_task", "workers", "threads"),
    [
        (64, None, None, 4, 16),  # no Slurm
        (64, 16, None, 4, 4),  # Slurm that binds nothing
        (64, 17, 4, 3, 4),  # a fourth rank leads, and what it leaves is nobody's
        (64, 32, 32, 8, 4),  # one task, and mpirun -n 9 in it
        (2, 8, 4, 1, 2),  # a node said to be larger than it is
        (2, None, None, 5, 1),
    ],
)
def test_the_least_of_affinity_and_what_slurm_says_counts(
    cores: int, on_node: int | None, per_task: int | None, workers: int, threads: int
) -> None:
    seen = Place(frozenset(range(cores)), on_node, per_task)
    assert [share.threads for share in resources.divide([seen] * workers)] == [threads] * workers


def test_ranks_that_are_bound_have_the_cores_that_they_are_bound_to() -> None:
    places = [Place(frozenset(cores)) for cores in ({0, 1}, {2, 3, 4}, {2, 3, 4})]
    assert [share.threads for share in resources.divide(places)] == [2, 1, 1]


# -- GPUs ------------------------------------------------------------------------------------------


@given(WORKERS, GPUS.filter(len))
def test_enough_gpus_are_dealt_out_evenly_and_to_one_rank_each(
    workers: int, gpus: list[str]
) -> None:
    given = given_out([seeing(*gpus)] * workers, None)
    dealt = [gpu for each in given for gpu in each]
    assert len(given) == workers
    assert {len(each) for each in given} == {max(1, len(gpus) // workers)}
    assert dealt[: len(gpus)] == gpus[: len(dealt)]
    assert set(dealt) <= set(gpus)


@given(WORKERS, GPUS.filter(len))
def test_too_few_gpus_are_shared_evenly(workers: int, gpus: list[str]) -> None:
    dealt = [gpu for each in given_out([seeing(*gpus)] * workers, None) for gpu in each]
    times = [dealt.count(gpu) for gpu in gpus]
    assert max(times) - min(times) <= 1


@given(WORKERS, GPUS, PER_TRIAL)
def test_a_trial_has_as_many_gpus_as_the_study_says_and_shares_none(
    workers: int, gpus: list[str], gpus_per_trial: int
) -> None:
    given = given_out([seeing(*gpus)] * workers, gpus_per_trial)
    assert len(given) == min(workers, len(gpus) // gpus_per_trial)
    assert all(len(each) == gpus_per_trial for each in given)
    assert [gpu for each in given for gpu in each] == gpus[: len(given) * gpus_per_trial]


@given(st.lists(st.tuples(GPUS, st.sampled_from([None, "0", "1"])), max_size=8), PER_TRIAL)
def test_no_rank_is_given_what_it_does_not_see(
    seen: list[tuple[list[str], str | None]], gpus_per_trial: int
) -> None:
    places = [seeing(*gpus)._replace(step_gpus=step) for gpus, step in seen]
    for here, share in zip(places, resources.divide(places), strict=True):
        assert share.visible == here.visible
        for number in (None, gpus_per_trial):
            if resources.refusal(share, number) is None:
                names = resources.variables(share, number).get(CUDA, "").split(",")
                assert set(names) <= {*here.visible[CUDA], ""}


def test_a_rank_that_is_bound_keeps_its_own() -> None:
    places = [seeing("0"), seeing("1"), seeing("2", "3")]
    assert given_out(places, None) == [["0"], ["1"], ["2", "3"]]
    assert given_out(places, 1) == [["0"], ["1"], ["2"]]


def test_ranks_bound_in_control_groups_see_the_same_numbers_of_other_gpus() -> None:
    places = [seeing("0")._replace(step_gpus=number) for number in ("0", "1", "2")]
    assert given_out(places, 1) == [["0"], ["0"], ["0"]]


def test_a_rank_that_is_left_over_is_told_why() -> None:
    shares = resources.divide([seeing("0", "1", "2", "3")] * 3)
    assert [resources.refusal(share, 2) for share in shares] == [
        None,
        None,
        "this node has 4 GPUs: enough for 2 ranks with gpus_per_trial = 2, and this is number 3",
    ]


@pytest.mark.parametrize(
    ("seen", "said"),
    [(Place(frozenset([0])), "no GPU"), (seeing(), "no GPU"), (seeing("0"), "1 GPU")],
)
def test_where_too_few_gpus_are_seen_no_rank_is_fit(seen: Place, said: str) -> None:
    [share] = resources.divide([seen])
    refusal = resources.refusal(share, 2)
    assert refusal is not None
    assert refusal.startswith(f"gpus_per_trial = 2, and this rank sees {said}: have Slurm give")


@pytest.mark.parametrize("seen", [Place(frozenset([0]), nvidia=2), seeing()])
def test_where_no_list_has_a_gpu_all_is_left_as_it_is(seen: Place) -> None:
    assert [resources.variables(share, None) for share in resources.divide([seen] * 2)] == [{}, {}]


def test_gpus_that_no_list_names_are_counted_where_a_trial_needs_them() -> None:
    places = [Place(frozenset([0]), nvidia=3)] * 4
    assert given_out(places, 1) == [["0"], ["1"], ["2"]]


def test_a_study_may_hide_all_gpus() -> None:
    for seen in (Place(frozenset([0])), seeing("0", "1")):
        [share] = resources.divide([seen])
        assert resources.variables(share, 0) == dict.fromkeys(VARIABLES, HIDDEN)


@pytest.mark.parametrize(
    ("lists", "divided"),
    [
        ({CUDA: "01", ORDINAL: "01"}, {CUDA: "1", ORDINAL: "1"}),
        ({CUDA: "01", LEVEL_ZERO: "23"}, {CUDA: "1", LEVEL_ZERO: "3"}),
        ({CUDA: "01", ORDINAL: "0"}, {CUDA: "1"}),
        ({ROCR: "23"}, {ROCR: "3"}),
        ({ROCR: "01", HIP: "01"}, {HIP: "1"}),
        ({ROCR: "01", CUDA: "01", ORDINAL: "01"}, {CUDA: "1", ORDINAL: "1"}),
        ({ROCR: "01", ORDINAL: "01"}, {ROCR: "1"}),
    ],
)
def test_lists_of_the_same_gpus_are_divided_alike_and_no_gpu_is_filtered_twice(
    lists: dict[str, str], divided: dict[str, str]
) -> None:
    share = Share(visible={name: tuple(gpus) for name, gpus in lists.items()}, turn=1, turns=2)
    assert resources.variables(share, None) == divided
    assert resources.variables(share, 1) == divided


# -- what a process sees ---------------------------------------------------------------------------


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = {"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "6", "SLURM_CPUS_PER_TASK": "3"}
    daemons = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "9", "SLURM_STEP_GPUS": "2,3"}
    monkeypatch.setattr(os, "environ", {**slurm, **daemons, CUDA: "0,1", ROCR: "NoDevFiles"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 4})
    lists = {CUDA: ("0", "1"), ROCR: ()}
    assert resources.here() == Place(frozenset([3, 4]), 6, 3, lists, "2,3")
    assert resources.here().cpus == 2


@pytest.mark.parametrize("said", ["", "0", "(null)", "-1", "4(x2)"])
def test_what_is_no_count_of_cpus_says_nothing(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setattr(os, "environ", {"SLURM_CPUS_ON_NODE": said, "SLURM_CPUS_PER_TASK": said})
    assert resources.here()[1:3] == (None, None)


@pytest.mark.parametrize(("env", "counted"), [({}, 2), ({"SLURM_JOB_ID": "7"}, 0)])
def test_devices_are_counted_only_where_no_slurm_gives_them_out(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], counted: int
) -> None:
    monkeypatch.setattr(os, "environ", env)
    monkeypatch.setattr(Path, "glob", lambda *_: iter([Path("nvidia0"), Path("nvidia1")]))
    assert resources.here().nvidia == counted
