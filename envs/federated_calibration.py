r"""Tables for federated optimisation from the real gradients of the anchored game.

Clients of the anchored game (`kofn.envs.anchored_clients`) are recorded while server and clients act at random. A
client counts as near (b = 0) while its gradient norm is in the lowest bin, and as far (b = 1) otherwise. Frequencies of
the recorded moves estimate P_l(. | (d, b), (c, e), a_l), and means of the recorded rewards r_l: with them the tabular
game has the dynamics of the real one, as far as (d, b) is a state at all. How far it is from that, `markov_check`
measures: what does the client's b of one round earlier tell about the next b, once (d, b), (c, e) and a_l are known?

Rows that were never met take the pooled frequencies of the clients with the same b, level, action and [d = c].
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kofn.envs.anchored_clients import N_BINS, advance, measure, observe, start
from kofn.envs.arrays import FloatArray, IntArray, freeze_copies, integer, restore_frozen
from kofn.envs.federated_anchored import AnchoredGame
from kofn.envs.game import TabularGame
from kofn.envs.inversion import cumulative_thresholds, sample_rows
from kofn.envs.markov_check import MarkovCheck, markov_check


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """Rounds of clients under random actions; axes are [episode, round, client].

    Attributes:
        observations: 9 d + 3 (gradient bin) + (distance bin), int64.
        global_states: (c, e), int64 [episode, round].
        actions: int64.
        rewards: r_l, float.
        gradient_norms: float.
        distances: float.
    """

    observations: IntArray
    global_states: IntArray
    actions: IntArray
    rewards: FloatArray
    gradient_norms: FloatArray
    distances: FloatArray

    __setstate__ = restore_frozen

    def __post_init__(self) -> None:
        """Freeze."""
        freeze_copies(self, *vars(self))


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibration:
    """Outcome of `calibrate`.

    Attributes:
        game: federated optimisation with the estimated P_l and r_l.
        counts: recorded moves, int64 [s_l, s_g, a_l, s_l'].
        markov: how far (d, b) is from a state.
    """

    game: TabularGame
    counts: IntArray
    markov: MarkovCheck


def record(
    game: AnchoredGame, rng: np.random.Generator, *, n_clients: int = 200, n_rounds: int = 100, n_episodes: int = 20
) -> Record:
    """Episodes of server and clients that act uniformly at random.

    Args:
        game: the anchored game.
        rng: source of all randomness.
        n_clients: clients.
        n_rounds: rounds per episode.
        n_episodes: episodes, each with a start of its own.

    Raises:
        TypeError, ValueError: a number of the wrong type or out of range.
    """
    sizes = {"n_clients": n_clients, "n_rounds": n_rounds, "n_episodes": n_episodes}
    for name, size in sizes.items():
        integer(name, size, 1)
    episodes = [_episode(game, rng, n_clients, n_rounds) for _ in range(n_episodes)]
    return Record(**{field: np.stack([episode[field] for episode in episodes]) for field in episodes[0]})


def _episode(
    game: AnchoredGame, rng: np.random.Generator, n_clients: int, n_rounds: int
) -> dict[str, npt.NDArray[Any]]:
    """The fields of a record, without the axis of episodes."""
    task, server = game.task, game.server
    law = cumulative_thresholds(server.initial_local.draw(rng, 1)[0])
    clients = start(task, sample_rows(rng.random(n_clients), law))
    moves = cumulative_thresholds(server.global_transition)
    s_g = int(sample_rows(rng.random(1), cumulative_thresholds(server.initial_global))[0])
    rounds = []
    for _ in range(n_rounds):
        actions = rng.integers(game.n_local_actions, size=n_clients)
        measures = measure(task, clients, s_g)
        rounds.append(
            {
                "observations": observe(task, clients, measures),
                "global_states": np.array(s_g),
                "actions": actions,
                "rewards": game.rewards(measures, actions),
                "gradient_norms": measures.gradient_norms,
                "distances": measures.distances,
            }
        )
        clients = advance(task, rng, clients, s_g, actions)
        s_g = int(sample_rows(rng.random(1), moves[s_g, rng.integers(game.n_global_actions)])[0])
    return {field: np.stack([played[field] for played in rounds]) for field in rounds[0]}


def pilot_edges(pilot: Record) -> tuple[FloatArray, FloatArray]:
    """Terciles of gradient norms and of distances, float [2] each."""
    return np.quantile(pilot.gradient_norms, [1 / 3, 2 / 3]), np.quantile(pilot.distances, [1 / 3, 2 / 3])


def calibrate(game: AnchoredGame, recorded: Record, rng: np.random.Generator) -> Calibration:
    """Estimate federated optimisation's tables from recorded rounds.

    Args:
        game: the anchored game that was recorded.
        recorded: at least three rounds.
        rng: draws the permutations of the Markov check.

    Raises:
        ValueError: too few rounds, or a kind of row that was never met.
    """
    if recorded.global_states.shape[1] < 3:
        raise ValueError(f"a record must have at least 3 rounds; it has {recorded.global_states.shape[1]}")
    domains, bins = np.divmod(recorded.observations, N_BINS**2)
    far = (bins >= N_BINS).astype(np.int64)
    s_g = np.broadcast_to(recorded.global_states[..., None], far.shape)
    rows = [domains, far, s_g // 2, s_g % 2, recorded.actions]
    n_domains = game.task.n_domains
    shape = (n_domains, 2, n_domains, 2, game.n_local_actions)
    row = np.ravel_multi_index([values[:, :-1] for values in rows], shape)
    counts = np.bincount((2 * row + far[:, 1:]).ravel(), minlength=2 * int(np.prod(shape))).reshape(*shape, 2)
    paid = np.bincount(row.ravel(), recorded.rewards[:, :-1].ravel(), minlength=int(np.prod(shape))).reshape(shape)
    stays = np.eye(n_domains, dtype=np.int64)
    moves = np.einsum("dbceah,df->dbceafh", counts, stays).reshape(2 * n_domains, 2 * n_domains, -1, 2 * n_domains)
    law = np.einsum("dbceah,df->dbceafh", _shares(counts, counts.sum(axis=-1)), stays.astype(np.float64))
    mean = _shares(paid[..., None], counts.sum(axis=-1))[..., 0]
    return Calibration(
        game=replace(
            game.server,
            local_transition=law.reshape(moves.shape),
            local_reward=mean.reshape(moves.shape[:3]),
        ),
        counts=moves,
        markov=markov_check(row[:, 1:].ravel(), far[:, :-2].ravel(), far[:, 2:].ravel(), rng),
    )


def _shares(totals: npt.NDArray[Any], visits: IntArray) -> FloatArray:
    """Totals [d, b, c, e, a, ...] per visit [d, b, c, e, a], of all clients alike where there was none."""
    own = np.eye(len(visits), dtype=bool)[:, None, :, None, None]
    shares = np.zeros(totals.shape)
    for alike in (own, ~own):
        pooled = (totals * alike[..., None]).sum(axis=(0, 2), keepdims=True)
        visited = (visits * alike).sum(axis=(0, 2), keepdims=True)
        if (visited == 0).any():
            _, b, _, e, a = np.argwhere(visited == 0)[0].tolist()
            emphasised = "" if alike is own else "not "
            raise ValueError(
                f"no client with b={b} was recorded under level {e} and action {a} while its domain was {emphasised}"
                "emphasised; record more rounds"
            )
        own_share = np.divide(totals, visits[..., None], out=shares.copy(), where=visits[..., None] > 0)
        share = np.where(visits[..., None] > 0, own_share, pooled / visited[..., None])
        shares = np.where(alike[..., None], share, shares)
    return shares
