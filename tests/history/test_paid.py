"""Where the paid time went, from journals whose numbers can be added up by hand."""

import msgspec
import pytest

from hpmpi.history.history import History
from hpmpi.history.paid import Advice, RankTime, advice, paid, times, wasted_s
from hpmpi.history.tables import ranks, results
from hpmpi.model.events import Heard, Silent, Tick
from hpmpi.model.messages import FailureKind, Outcome, Ready
from hpmpi.model.records import Ended, Entry, Failure, Line, Quarantined, Released
from hpmpi.model.trial import AttemptId
from hpmpi.model.usage import GpuUsage, Provision, Usage
from hpmpi.views.paid import lines
from tests.harness.histories import assigned, deadline, entry, ready, result, started

GIGA = 1 << 30


def has(rank: int, host: str, at: float) -> Entry:
    """Have a rank be ready that has two CPUs on a node of 16 GiB."""
    return entry(at, Heard(rank, Ready(host, rank, has=Provision(cpus=2, node_bytes=16 * GIGA))))


def used(trial: int, usage: Usage | None, rank: int = 1, *, at: float) -> Entry:
    """Have a result come in that has used something."""
    line = result(trial, 0.5, rank=rank, at=at)
    assert isinstance(line.event, Heard)
    report = msgspec.structs.replace(line.event.report, usage=usage)
    return msgspec.structs.replace(line, event=Heard(rank, report))


def test_every_second_of_a_rank_is_told_once() -> None:
    history = History(
        [
            started(0.0, ranks=3),
            ready(1, at=2.0),
            ready(2, at=4.0),
            assigned(0, rank=1, at=2.0),
            assigned(1, rank=2, at=10.0),
            result(0, 0.5, rank=1, at=12.0),
            assigned(2, rank=1, at=20.0),
            entry(22.0, Silent((2,)), Failure(AttemptId(1, 0, 1), FailureKind.LOST)),
            entry(25.0, Silent((3,))),
            result(2, 0.5, rank=1, at=30.0),
            entry(40.0, Tick(), Ended(Outcome.COMPLETE, "complete")),
        ]
    )
    assert times(history) == {
        1: RankTime(busy_s=20.0, starting_s=2.0, waiting_s=8.0, idle_s=10.0),
        2: RankTime(busy_s=12.0, starting_s=4.0, waiting_s=6.0, lost_s=18.0),
        3: RankTime(starting_s=25.0, lost_s=15.0),
    }
    assert all(it.all_s == 40.0 for it in times(history).values())


def test_a_rank_that_was_put_aside_did_not_wait() -> None:
    history = History(
        [
            started(0.0, ranks=2),
            ready(1, at=0.0),
            ready(2, at=0.0),
            entry(10.0, Tick(), Quarantined(2)),
            entry(25.0, Tick(), Released(2, on_trial=True)),
            assigned(0, rank=2, at=25.0),
            result(0, 0.5, rank=2, at=30.0),
        ]
    )
    assert times(history)[2] == RankTime(busy_s=5.0, waiting_s=10.0, aside_s=15.0)


def test_starts_are_told_apart() -> None:
    first: list[Line] = [started(0.0, ranks=1), ready(1, at=1.0), assigned(0, at=1.0)]
    second: list[Line] = [started(10.0, ranks=1), ready(1, at=13.0), assigned(0, number=2, at=13.0)]
    history = History([*first, *second, result(0, 0.5, number=2, at=20.0)])
    assert times(history)[1] == RankTime(busy_s=16.0, starting_s=4.0)
    assert wasted_s(history) == 9.0, "what the restart has cut off"


def test_what_short_jobs_used_together_is_shared_out_by_their_time() -> None:
    both = Usage(4.0, cpu_s=2.0, memory_bytes=7, read_bytes=400, written_bytes=8)
    before: list[Line] = [started(ranks=1), ready(1), assigned(0, at=0.0), used(0, None, at=1.0)]
    history = History([*before, assigned(1, at=1.0), used(1, both, at=4.0)])
    table = results(history)
    assert table["cpu_s"] == [0.5, 1.5]
    assert table["read_bytes"] == [100, 300]
    assert table["memory_bytes"] == [7, 7], "each may have had the most"
    assert "gpu_memory_bytes" not in table, "there is none"


def run(
    usage: Usage | None, *, hours: float = 1.0, outcome: Outcome = Outcome.COMPLETE
) -> list[Line]:
    """Run a study of three ranks on two nodes, the last of which has nothing to do for long."""
    second = 3600.0 * hours
    return [
        started(0.0, ranks=3),
        deadline(4 * second, 1e9, 3.9 * second, at=0.0),
        has(1, "node1", 0.0),
        has(2, "node1", 0.0),
        has(3, "node2", 0.0),
        *(assigned(trial, rank=trial + 1, at=0.0) for trial in range(3)),
        used(2, usage, rank=3, at=0.2 * second),
        used(0, usage, rank=1, at=second),
        used(1, usage, rank=2, at=second),
        entry(second, Tick(), Ended(outcome, outcome.value)),
    ]


def test_what_was_used_is_told_beside_what_was_asked_for() -> None:
    usage = Usage(3600.0, cpu_s=720.0, memory_bytes=GIGA, gpu=GpuUsage(5, 0.25))
    known = paid(History(run(usage)))
    assert known is not None
    assert known.cores == pytest.approx(3 * 720.0 / (2.2 * 3600.0))
    assert (known.cpus, known.node_bytes, known.node_has_bytes) == (2, 2 * GIGA, 16 * GIGA)
    assert (known.run_s, known.asked_s) == (3600.0, 4 * 3600.0)
    assert known.gpu == GpuUsage(5, 0.25, looks=3)
    assert known.time.idle_s == pytest.approx(0.8 * 3600.0)
    said = "\n".join(lines(History(run(usage))))
    assert "2.1 GB of 17.2 GB (12 %) on a node" in said
    assert "1 h 0 min of 4 h 0 min (25 %)" in said
    assert "3: busy 73 %, idle at the end 27 %" in said


def test_what_the_ranks_of_a_node_share_counts_once() -> None:
    usage = Usage(3600.0, memory_bytes=GIGA, shared_bytes=GIGA // 4)
    known = paid(History(run(usage)))
    assert known is not None
    assert known.node_bytes == 2 * GIGA - GIGA // 4


def test_of_two_members_the_memory_is_that_of_the_one_with_more_of_its_own() -> None:
    usage = Usage(1.0, memory_bytes=7, shared_bytes=6).beside(Usage(1.0, memory_bytes=5))
    assert (usage.memory_bytes, usage.own_bytes) == (5, 5)


def test_it_is_said_what_to_ask_for_next_time() -> None:
    usage = Usage(3600.0, cpu_s=720.0, memory_bytes=GIGA)
    history = History(run(usage))
    known = paid(history)
    assert known is not None
    asked = advice(history, known)
    assert (asked.cpus_per_task, asked.time_s, asked.ntasks) == (1, 4500.0, 4)
    assert asked.mem_bytes is not None
    assert 2.5 * GIGA < asked.mem_bytes < 3.5 * GIGA, "a quarter more, and what ranks take"
    assert "--cpus-per-task=1 --time=01:15:00 --ntasks=4" in lines(history)[-2]


def test_what_is_not_known_is_not_advised() -> None:
    usage = Usage(3600.0, cpu_s=720.0, memory_bytes=GIGA)
    drained = History(run(usage, outcome=Outcome.DRAINED))
    short = History(run(usage, hours=0.001))
    for history, expected in ((drained, None), (short, Advice())):
        known = paid(history)
        assert known is not None
        asked = advice(history, known)
        assert asked.time_s is None
        assert expected is None or asked == expected
    assert paid(History(run(usage)[:6])) is None, "nobody has measured anything"
    assert lines(History(run(usage)[:6])) == []


def test_a_node_of_broken_ranks_is_named_where_others_work() -> None:
    begin: list[Line] = [started(ranks=3), ready(1, "good"), ready(2, "bad"), ready(3, "bad")]
    one = entry(1.0, Tick(), Quarantined(2))
    both = entry(2.0, Tick(), Quarantined(3))
    tries = entry(3.0, Tick(), Released(3, on_trial=True))
    works = entry(4.0, Tick(), Released(3))
    assert History([*begin, one]).ranks.broken_hosts == []
    assert History([*begin, one, both]).ranks.broken_hosts == ["bad"]
    assert History([*begin, one, both, tries]).ranks.broken_hosts == ["bad"]
    assert History([*begin, one, both, tries, works]).ranks.broken_hosts == []
    everybody = entry(3.0, Tick(), Quarantined(1))
    assert History([*begin, one, both, everybody]).ranks.broken_hosts == [], "it is not the node"
    assert ranks(History([*begin, one]))["aside_s"] == [0.0, 0.0, 0.0]
