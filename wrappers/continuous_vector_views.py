"""What `gymnasium.make_vec` makes of the best-response ids: vector views of any game, finite or continuous.

Finite games: `kofn.wrappers.vector_views`. Continuous ones, here: `kofn.wrappers.continuous_vector` with the arguments
and laws of the single views (`kofn.wrappers.continuous_best_response`, which are made of these, with one population).
`num_envs` is the number of populations; with `deviation="shared"` one of them is the whole fleet, with one action per
cell of places. `infos` hold what Gymnasium asks for at the end of an episode, the reward's parts are in `payment`.

>>> import gymnasium
>>> beacons = gymnasium.make_vec("kofn.envs:kofn/GlobalBestResponse-v0", num_envs=3, game="cluster_line", k=10)
>>> beacons.reset(seed=0)[0].shape, beacons.discount
((3, 6), 0.95)
>>> options = {"game": "cluster_line", "deviation": "shared"}
>>> gymnasium.make_vec("kofn.envs:kofn/LocalBestResponse-v0", num_envs=3, **options).action_space.shape
(3, 40)
"""

from typing import Any

from kofn.envs.arrays import integer, one_of
from kofn.envs.continuous import ContinuousGame
from kofn.envs.line_policies import LineGlobalPolicy, LineLocalPolicy, UniformLineGlobalPolicy
from kofn.envs.observations import ObsMode
from kofn.wrappers.continuous_episodes import continuous_game, is_continuous
from kofn.wrappers.continuous_vector import (
    ContinuousFleetVector,
    ContinuousGlobalVector,
    ContinuousLocalVector,
    Deviation,
    RewardNotion,
)
from kofn.wrappers.deviations import check_notions
from kofn.wrappers.vector_views import VectorView
from kofn.wrappers.vector_views import global_best_response_vec as finite_global_vec
from kofn.wrappers.vector_views import local_best_response_vec as finite_local_vec


def global_best_response_vec(num_envs: int, game: Any, **options: Any) -> VectorView | ContinuousGlobalVector:
    """The global agent's view of any game in `num_envs` populations; options as of the function that fits it."""
    make: Any = continuous_global_vec if is_continuous(game) else finite_global_vec
    found: VectorView | ContinuousGlobalVector = make(num_envs, game, **options)
    return found


def local_best_response_vec(
    num_envs: int, game: Any, **options: Any
) -> VectorView | ContinuousLocalVector | ContinuousFleetVector:
    """The local side's view of any game in `num_envs` populations; options as of the function that fits it."""
    make: Any = continuous_local_vec if is_continuous(game) else finite_local_vec
    found: VectorView | ContinuousLocalVector | ContinuousFleetVector = make(num_envs, game, **options)
    return found


def continuous_global_vec(
    num_envs: int,
    game: ContinuousGame | str,
    *,
    k: int | None = None,
    local_policy: LineLocalPolicy | str = "uniform",
    obs_mode: ObsMode = "box",
    autoreset_mode: Any = "NextStep",
    **sizes: Any,
) -> ContinuousGlobalVector:
    """`ContinuousGlobalBestResponse` in `num_envs` populations.

    Args:
        num_envs: B.
        game: as there.
        k: as there.
        local_policy: as there.
        obs_mode: as there.
        autoreset_mode: "NextStep", "SameStep" or "Disabled".
        sizes: n_agents and max_cycles, as there.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    one_of("obs_mode", obs_mode, ("box",))
    others: LineLocalPolicy | None = acting("local_policy", local_policy)
    n_envs = integer("num_envs", num_envs, 1)
    return ContinuousGlobalVector(game, n_envs, k=k, local_policy=others, autoreset_mode=autoreset_mode, **sizes)


def continuous_local_vec(  # a view names everything it holds fixed
    num_envs: int,
    game: ContinuousGame | str,
    *,
    k: int | None = None,
    global_policy: LineGlobalPolicy | str = "uniform",
    local_policy: LineLocalPolicy | str = "uniform",
    deviation: Deviation = "tagged",
    reward: RewardNotion = "team",
    obs_mode: ObsMode = "box",
    **sizes: Any,
) -> ContinuousLocalVector | ContinuousFleetVector:
    """`ContinuousLocalBestResponse` in `num_envs` populations.

    Args:
        num_envs: B.
        game: as there.
        k: as there.
        global_policy: as there.
        local_policy: as there.
        deviation: as there.
        reward: as there.
        obs_mode: as there.
        sizes: n_agents and max_cycles, as there; autoreset_mode: "NextStep" (omitted), "SameStep" or "Disabled".

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    one_of("obs_mode", obs_mode, ("box",))
    check_notions(deviation, reward)
    dispatcher: LineGlobalPolicy | None = acting("global_policy", global_policy)
    if dispatcher is None:
        dispatcher = UniformLineGlobalPolicy(continuous_game(game).n_global_actions, k if k is not None else 1)
    if k is not None and dispatcher.k != k:
        raise ValueError(f"k must be that of global_policy, {dispatcher.k}; got {k}")
    others: LineLocalPolicy | None = acting("local_policy", local_policy)
    n_envs, sizes = integer("num_envs", num_envs, 1), {"autoreset_mode": "NextStep", **sizes}
    if deviation == "shared":
        return ContinuousFleetVector(game, n_envs, global_policy=dispatcher, **sizes)
    return ContinuousLocalVector(game, n_envs, global_policy=dispatcher, local_policy=others, reward=reward, **sizes)


def acting(name: str, policy: Any) -> Any:
    """A policy that acts, None for "uniform"; TypeError or ValueError name what else was given."""
    if isinstance(policy, str):
        one_of(name, policy, ("uniform",))
        return None
    if not hasattr(policy, "act"):
        raise TypeError(
            f"{name} must be 'uniform' or have act(...), as the policies of continuous games; got {policy!r}"
        )
    return policy
