r"""Local agents of several types as one game (heterogeneity by types; SUBSAMPLE-MFQ paper, Remark 0.6).

Every local agent has a type e, which never changes, and a state of its type. One local state of the joint game is the
pair (e, x), so that all agents still share one law and one policy:

    S_l = union over e of {e} x S_l^e        P_l((e', x') | (e, x), s_g, a_l) = [e' = e] P_l^e(x' | x, s_g, a_l)
                                             r_l((e, x), s_g, a_l) = r_l^e(x, s_g, a_l)

Types are given as games of their own that share all that is global: P_g, r_g, gamma, the law of s_g at time 0, and the
number of local actions. Their numbers of local states may differ. States are numbered type by type.

**Start.** Types that start from `FixedStart(p^e)`: an agent is of type e with probability `shares[e]` and then starts
from p^e, so that the number of agents of a type is binomial. Types that start from `DirichletStart(alpha^e)`: the law
is Dirichlet over all pairs. Within each type it is the type's own, and the shares are random too, per episode,
Dirichlet with parameters sum_x alpha^e_x: independent of what happens within the types, but not free to choose.

>>> from kofn.envs.warehouse_dispatch import game
>>> from dataclasses import replace
>>> fast = game(n_zones=2)
>>> slow = replace(fast, local_transition=0.5 * fast.local_transition + 0.5 * np.eye(2)[:, None, None, :])
>>> both = with_types({"fast": fast, "slow": slow})
>>> both.labels.local_states
('fast/zone 0', 'fast/zone 1', 'slow/zone 0', 'slow/zone 1')
>>> type_states({"fast": fast, "slow": slow})
{'fast': range(0, 2), 'slow': range(2, 4)}
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kofn.envs.arrays import FloatArray, first_index, probability_array
from kofn.envs.game import TabularGame
from kofn.envs.picture_layout import TYPE_MARK
from kofn.envs.reward_law import RewardLaw
from kofn.envs.start_law import DirichletStart, FixedStart, StartLaw

_SHARED = ("global_transition", "global_reward", "discount", "initial_global")


def with_types(
    games: Mapping[str, TabularGame], *, shares: Mapping[str, float] | None = None, title: str | None = None
) -> TabularGame:
    """One game whose local agents are of the given types.

    Args:
        games: a game per type, in the order in which local states are numbered. Names of global states and of all
            actions are the first one's.
        shares: probability of each type, for types that start from `FixedStart`; None: all the same.
        title: the joint game's; None: the first game's, with the types in brackets.

    Raises:
        TypeError: no mapping from names to TabularGames.
        ValueError: no type, an unnamed one, types that do not share what is global, shares that are no distribution
            over the types, start laws of different kinds, or shares for types that start from `DirichletStart`.
    """
    first = _checked(games)
    types = list(games.values())
    laws = [game.local_reward_law for game in types]
    rewards = np.concatenate([game.local_reward for game in types])
    names = tuple(f"{kind}{TYPE_MARK}{name}" for kind, game in games.items() for name in game.labels.local_states)
    title = title if title is not None else f"{first.labels.title} ({', '.join(games)})"
    return TabularGame(
        global_transition=first.global_transition,
        local_transition=_block_diagonal(types),
        global_reward=first.global_reward,
        local_reward=rewards,
        global_reward_law=first.global_reward_law,
        local_reward_law=None if all(law is None for law in laws) else _stacked_law(types),
        discount=first.discount,
        initial_global=first.initial_global,
        initial_local=_start(games, shares),
        labels=replace(first.labels, title=title, local_states=names),
    )


def type_states(games: Mapping[str, TabularGame]) -> dict[str, range]:
    """Local states of each type in the game that `with_types` makes of `games`."""
    ends = np.cumsum([game.n_local_states for game in games.values()]).tolist()
    return {kind: range(end - game.n_local_states, end) for (kind, game), end in zip(games.items(), ends, strict=True)}


def _checked(games: Mapping[str, TabularGame]) -> TabularGame:
    """The first game, after checking that the others share with it what is global."""
    if not isinstance(games, Mapping):
        raise TypeError(f"games must be a mapping from types to TabularGames; got {type(games).__name__}")
    if not games:
        raise ValueError("games must hold at least one type; got none")
    for kind, game in games.items():
        if not isinstance(kind, str) or not isinstance(game, TabularGame):
            raise TypeError(f"games must map strings to TabularGames; got {kind!r}: {type(game).__name__}")
        if not kind.strip():
            raise ValueError(f"types must have names; got {kind!r}")
    name, first = next(iter(games.items()))
    for kind, game in games.items():
        _check_shared(first, game, f"{kind!r} differs from {name!r}")
    return first


def _check_shared(first: TabularGame, other: TabularGame, blame: str) -> None:
    if other.n_local_actions != first.n_local_actions:
        raise ValueError(
            f"types must have equally many local actions; {blame}: {other.n_local_actions}, not {first.n_local_actions}"
        )
    for field in _SHARED:
        expected, found = np.asarray(getattr(first, field)), np.asarray(getattr(other, field))
        if expected.shape != found.shape:
            shapes = f"{list(found.shape)}, not {list(expected.shape)}"
            raise ValueError(f"{field} must be shared by all types; {blame} in shape: {shapes}")
        if (expected != found).any():
            index = first_index(np.atleast_1d(expected != found)) if expected.ndim else ()
            at = f" at {list(index)}" if index else ""
            raise ValueError(f"{field} must be shared by all types; {blame}{at}: {found[index]}, not {expected[index]}")
    if not _same_law(first.global_reward_law, other.global_reward_law):
        raise ValueError(f"global_reward_law must be shared by all types; {blame}")


def _same_law(first: RewardLaw | None, other: RewardLaw | None) -> bool:
    if first is None or other is None:
        return first is other
    return np.array_equal(first.values, other.values) and np.array_equal(first.probabilities, other.probabilities)


def _block_diagonal(types: list[TabularGame]) -> FloatArray:
    """P_l of all types, float [s_l, s_g, a_l, s_l']."""
    sizes = [game.n_local_states for game in types]
    ends = np.cumsum(sizes)
    joint = np.zeros((ends[-1], *types[0].local_reward.shape[1:], ends[-1]))
    for game, size, end in zip(types, sizes, ends, strict=True):
        joint[end - size : end, :, :, end - size : end] = game.local_transition
    return joint


def _stacked_law(types: list[TabularGame]) -> RewardLaw:
    """Laws of r_l of all types, filled up with outcomes of probability 0 to the largest number of outcomes."""
    laws = [game.local_reward_law or RewardLaw.certain(game.local_reward) for game in types]
    most = max(law.values.shape[-1] for law in laws)

    def stacked(field: str) -> FloatArray:
        tables = [getattr(law, field) for law in laws]
        return np.concatenate([np.pad(table, [(0, 0)] * 3 + [(0, most - table.shape[-1])]) for table in tables])

    return RewardLaw(stacked("values"), stacked("probabilities"))


def _start(games: Mapping[str, TabularGame], shares: Mapping[str, float] | None) -> StartLaw:
    laws = {kind: game.initial_local for kind, game in games.items()}
    dirichlet = [law.concentration for law in laws.values() if isinstance(law, DirichletStart)]
    fixed = [law.probabilities for law in laws.values() if isinstance(law, FixedStart)]
    if dirichlet and fixed:
        found = ", ".join(f"{kind!r} from {type(law).__name__}" for kind, law in laws.items())
        raise ValueError(f"types must all start from FixedStart or all from DirichletStart; got {found}")
    if dirichlet:
        if shares is not None:
            raise ValueError(
                "shares must be None for types that start from DirichletStart, where they are random; "
                f"got {dict(shares)}: give the types a FixedStart to choose them"
            )
        return DirichletStart(np.concatenate(dirichlet))
    weights = _weights(list(laws), shares)
    return FixedStart(np.concatenate([weight * law for weight, law in zip(weights, fixed, strict=True)]))


def _weights(kinds: list[str], shares: Mapping[str, float] | None) -> FloatArray:
    """Probabilities of the types, in their order."""
    if shares is None:
        return np.full(len(kinds), 1 / len(kinds))
    if not isinstance(shares, Mapping):
        raise TypeError(f"shares must be a mapping from types to probabilities; got {type(shares).__name__}")
    if set(shares) != set(kinds):
        raise ValueError(f"shares must name the types {kinds}; got {list(shares)}")
    return probability_array("shares", [shares[kind] for kind in kinds], (len(kinds),))
