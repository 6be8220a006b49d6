"""Federated averaging: McMahan et al., AISTATS 2017 (arXiv 1602.05629), Algorithm 1.

Each of K clients has rows that nobody else sees. In a round, max(C K, 1) of them are drawn; each
trains for E epochs from the server's weights on, in batches of B; the server takes the mean of what
they come to, each weighted by its n_k rows over the rows of those drawn. Member 0 is the server;
the clients of a round are dealt to all members. What a client draws has a seed of the round's own,
and the mean is summed in the order of the clients: the ranks change no bit.

Space: `clients` (K), `share` (C), `epochs` (E), `batch_size` (B, or "all"), `learning_rate` with
its `decay` a round, `hidden`, `model`; `deal`: rows at random ("iid"), or two shards a client of
the rows sorted by label ("shards"); all trials have the same deal, by `deal_seed`. Resource:
rounds. Metrics: accuracy, rounds_to_target, and bytes_sent, of weights from the server to clients
and back.
"""

from typing import Annotated, Literal

import msgspec
import numpy as np

from hpmpi.data.sheets import Array
from hpmpi.errors import ObjectiveError
from hpmpi.model.trial import Metrics
from hpmpi.trainables.data_parallel import pass_over
from hpmpi.trainables.joint import Count, Joint, JointOptions, JointState, Setting, Share
from hpmpi.trainables.members import ALONE

SHARDS = 2
"""Of a client, where rows are not dealt at random."""

SEEDS = 2**63


class FederatedOptions(JointOptions, frozen=True, kw_only=True):
    """The paper's K, C and E, and how rows are dealt to the clients."""

    clients: Count = 20
    share: Share = 0.2
    epochs: Count = 1
    deal: Literal["iid", "shards"] = "iid"
    deal_seed: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def drawn(self) -> int:
        """How many clients take part in a round (Algorithm 1: m); 0.3 of 10 are 3, not 2."""
        return max(round(self.share * self.clients), 1)


def dealt(y: Array, clients: int, deal: str, seed: int) -> list[Array]:
    """Deal rows to the clients (section 3): return the rows of each.

    >>> [rows.tolist() for rows in dealt(np.array([3, 1, 0, 2]), 1, "shards", 0)]
    [[2, 1, 3, 0]]
    """
    draw = np.random.default_rng(seed)
    if deal == "iid":
        return np.array_split(draw.permutation(len(y)), clients)
    shards = np.array_split(np.argsort(y, kind="stable"), SHARDS * clients)
    pairs = np.sort(draw.permutation(len(shards)).reshape(clients, SHARDS))
    return [np.concatenate([shards[shard] for shard in pair]) for pair in pairs]


def one_round(setting: Setting, state: JointState) -> Array:
    """Have some clients train, and average (Algorithm 1, a round of the server)."""
    options, members = setting.options, setting.members
    rows = dealt(setting.data.y_train, options.clients, options.deal, options.deal_seed)
    drawn = np.sort(state.draw.choice(options.clients, options.drawn, replace=False))
    seeds = state.draw.integers(SEEDS, size=len(drawn))
    mine = {
        int(drawn[place]): updated(setting, state, rows[drawn[place]], int(seeds[place]))
        for place in range(members.rank, len(drawn), members.size)
    }
    average, by_member = None, members.gather(mine)
    if by_member is not None:
        updates = {client: w for each in by_member for client, w in each.items()}
        average = mean({k: (len(rows[k]), updates[k]) for k in sorted(updates)})
    w: Array = members.bcast(average)
    return w


def updated(setting: Setting, state: JointState, rows: Array, seed: int) -> Array:
    """Train with the rows of a client (Algorithm 1, ClientUpdate): SGD of one member."""
    draw, w, rate = np.random.default_rng(seed), state.w, setting.options.rate(state.resource)
    for _ in range(setting.options.epochs):
        w = pass_over(setting._replace(members=ALONE), w, rows, rate, draw)
    return w


def mean(updates: dict[int, tuple[int, Array]]) -> Array:
    """Average weights, each by its share of the rows of all of these."""
    total = sum(count for count, _ in updates.values())
    return np.asarray(sum(count / total * w for count, w in updates.values()))


def check(setting: Setting) -> None:
    """Refuse clients without rows; raises ObjectiveError."""
    options, rows = setting.options, len(setting.data.y_train)
    least = options.clients * (1 if options.deal == "iid" else SHARDS)
    if rows < least:
        raise ObjectiveError(
            f"clients = {options.clients} with deal = {options.deal!r} are too many for {rows} "
            f"rows to train on: they need {least}"
        )


def costs(setting: Setting, state: JointState) -> Metrics:
    """Count the bytes of weights between server and clients, so far."""
    each_way = setting.network.size * state.w.itemsize
    return {"bytes_sent": float(2 * each_way * setting.options.drawn * state.resource)}


train = Joint(FederatedOptions, "rounds", one_round, check, costs)
