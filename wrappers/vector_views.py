"""The single-agent views as vector environments: B populations stepped at once by the compiled lumped simulator.

`gymnasium.make_vec("kofn.envs:kofn/GlobalBestResponse-v0", num_envs=B, ...)` makes one, and so does
`kofn/LocalBestResponse-v0` (of continuous games: `kofn.wrappers.continuous_vector_views`); the arguments are those of
the single views (without rendering), the laws too. A step costs some microseconds per population, whatever the number
of agents.

At the end of an episode, `autoreset_mode` (Gymnasium's `AutoresetMode`, or its value):

* "NextStep" (the default, as Gymnasium's): the last observation is returned with the truncation; the NEXT step ignores
  that population's action, starts a new episode and pays nothing.
* "SameStep": the first observation of the new episode is returned at once, the last one in `infos["final_obs"]`.
* "Disabled": the caller resets, `reset(options={"reset_mask": mask})` with a bool per population.

One seed, or a sequence of them, is the seed of all populations together. For Stable-Baselines3 wrap it in
`kofn.wrappers.sb3_vec_env` (mode "SameStep" or "Disabled").

>>> import gymnasium
>>> envs = gymnasium.make_vec("kofn.envs:kofn/GlobalBestResponse-v0", num_envs=3, game="warehouse_dispatch", k=10)
>>> observations, infos = envs.reset(seed=0)
>>> observations.shape, envs.discount
((3, 10), 0.95)
"""

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector.utils import batch_space

from kofn.envs.arrays import integer, one_of
from kofn.envs.limit import Limit
from kofn.envs.model import Game
from kofn.envs.observations import Observation, ObsMode
from kofn.envs.policies import GlobalPolicy, LocalPolicy, as_global_policy, as_local_policy
from kofn.envs.simulator import Payment
from kofn.wrappers.deviations import check_notions
from kofn.wrappers.samplers import Sampler, draws_from_counts
from kofn.wrappers.vector_sides import Dispatcher, Fleets, Side, Tagged, checked_actions, checked_mask
from kofn.wrappers.view import View, policy_k

Mask = npt.NDArray[np.bool_]
Infos = dict[str, Any]
StepResult = tuple[Observation, npt.NDArray[np.float64], Mask, Mask, Infos]

AUTORESET_MODES = ("NextStep", "SameStep", "Disabled")


class VectorView(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """One side of a game in B populations; made by `global_best_response_vec` and `local_best_response_vec`.

    Args:
        view: game, sizes, streams and sampler.
        side: the learner's side.
        num_envs: B.
        autoreset_mode: what happens at the end of an episode, see the module docstring.
        reward: "team" or, of tagged agents, "own".

    Raises:
        ValueError: a sampler that needs individuals, or an unknown mode.
    """

    k = Limit()

    def __init__(self, view: View, side: Side, num_envs: int, autoreset_mode: Any, reward: str = "team") -> None:
        if not draws_from_counts(view.sampler):
            raise ValueError(
                "sampler must draw from counts in a vector view (uniform, or tables of states); "
                f"{view.sampler!r} asks for individuals: use the single view"
            )
        mode = one_of("autoreset_mode", getattr(autoreset_mode, "value", autoreset_mode), AUTORESET_MODES)
        known = getattr(gymnasium.vector, "AutoresetMode", None)  # Gymnasium 1.0 has none
        self.metadata = {"autoreset_mode": known(mode) if known is not None else mode}
        self.num_envs, self.render_mode = num_envs, None
        self.game, self.n_agents, self.k = view.game, view.n_agents, view.k
        self.single_observation_space, self.single_action_space = side.observation_space, side.action_space
        self.observation_space = batch_space(side.observation_space, num_envs)
        self.action_space = batch_space(side.action_space, num_envs)
        self._view, self._side, self._mode, self.reward = view, side, mode, reward
        self._over: Mask = np.zeros(num_envs, dtype=np.bool_)
        self._clock = np.zeros(num_envs, dtype=np.int64)

    @property
    def discount(self) -> float:
        """Gamma."""
        return self.game.discount

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Infos]:
        """Start episodes: all, or those of `options["reset_mask"]` (bool [B]); a seed restarts the random streams.

        Raises:
            TypeError, ValueError: a mask of another kind or shape, or one at the first reset that leaves some out.
        """
        chosen = checked_mask(options, self.num_envs)
        if not chosen.all():
            self._view.check_started()
        streams = self._view.restart(seed)  # type: ignore[arg-type]  # a sequence of numbers is a seed as well
        self._begin(chosen)
        return self._side.observe(streams), self._others(chosen)

    def _begin(self, chosen: Mask) -> None:
        self._side.restart(self._view.streams, np.flatnonzero(chosen))
        self._clock = np.where(chosen, 0, self._clock)
        self._over = self._over & ~chosen

    def _others(self, present: Mask) -> Infos:
        """What the other agents do, where the learner is one of them."""
        if self._side.others is None:
            return {}
        others = np.full(self.num_envs, None, dtype=object)
        others[present] = self._side.others
        return {"others": others, "_others": present}

    def step(self, actions: Any) -> StepResult:
        """Play one action per population.

        Raises:
            RuntimeError: before the first reset, or (mode "Disabled") an episode that is over.
            TypeError, ValueError: actions of another kind or shape, or out of range.
        """
        self._view.check_started()
        given = checked_actions(self.single_action_space, self.num_envs, actions)
        waiting = self._over
        if self._mode == "Disabled" and waiting.any():
            raise RuntimeError(f"the episode of population {waiting.argmax()} is over: reset it before the next step")
        payment = self._side.step(given, self._view.streams)
        self._clock = self._clock + 1
        if waiting.any():
            self._begin(waiting)
        truncations = ~waiting & (self._clock >= self._view.max_cycles)
        self._over = truncations.copy()
        infos = {**_parts(payment, ~waiting), **self._others(np.ones(self.num_envs, dtype=np.bool_))}
        observations = self._side.observe(self._view.streams)
        if self._mode == "SameStep" and truncations.any():
            observations, infos = self._begun(observations, infos, truncations)
        paid = payment.team_reward if self.reward == "team" else self._side.own_rewards
        rewards = np.where(waiting, 0.0, paid)
        return observations, rewards, np.zeros(self.num_envs, dtype=np.bool_), truncations, infos

    def _begun(self, last: Observation, infos: Infos, ended: Mask) -> tuple[Observation, Infos]:
        """Begin new episodes at once, and keep what the ended ones returned last."""
        finals = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended).tolist():
            finals[i] = last[i].copy()
        whole = {key: values & ended if key.startswith("_") else values.copy() for key, values in infos.items()}
        self._begin(ended)
        fresh = self._side.observe(self._view.streams)
        observations = np.where(ended.reshape(-1, *[1] * (fresh.ndim - 1)), fresh, last)
        going_on = {key: values & ~ended if key.startswith("_reward") else values for key, values in infos.items()}
        return observations, {
            **going_on,
            "final_obs": finals,
            "_final_obs": ended,
            "final_info": whole,
            "_final_info": ended,
        }


def global_best_response_vec(
    num_envs: int,
    game: Game | str,
    *,
    local_policy: LocalPolicy | str | npt.ArrayLike = "uniform",
    obs_mode: ObsMode = "box",
    autoreset_mode: Any = "NextStep",
    **sizes: Any,
) -> VectorView:
    """`GlobalBestResponse` in `num_envs` populations.

    Args:
        num_envs: B.
        game: as there.
        local_policy: as there.
        obs_mode: as there.
        autoreset_mode: "NextStep", "SameStep" or "Disabled".
        sizes: n_agents, k, max_cycles and sampler, as there.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    n_envs, view = integer("num_envs", num_envs, 1), _view(game, **sizes)
    side = Dispatcher(view, n_envs, as_local_policy(local_policy, view.game), obs_mode)
    return VectorView(view, side, n_envs, autoreset_mode)


def local_best_response_vec(
    num_envs: int,
    game: Game | str,
    *,
    global_policy: GlobalPolicy | str | npt.ArrayLike = "keep",
    local_policy: LocalPolicy | str | npt.ArrayLike = "uniform",
    deviation: Literal["tagged", "shared"] = "tagged",
    reward: Literal["team", "own"] = "team",
    obs_mode: ObsMode = "box",
    autoreset_mode: Any = "NextStep",
    **sizes: Any,
) -> VectorView:
    """`LocalBestResponse` in `num_envs` populations.

    Args:
        num_envs: B.
        game: as there.
        global_policy: as there.
        local_policy: as there.
        deviation: as there.
        reward: as there.
        obs_mode: as there.
        autoreset_mode: "NextStep", "SameStep" or "Disabled".
        sizes: n_agents, k, max_cycles and sampler, as there.

    Raises:
        TypeError, ValueError: an argument of the wrong type or out of range.
    """
    if sizes.get("k") is None:
        sizes["k"] = policy_k(global_policy, game)
    n_envs, view = integer("num_envs", num_envs, 1), _view(game, **sizes)
    dispatcher = as_global_policy(global_policy, view.game, view.k)
    others = as_local_policy(local_policy, view.game)
    check_notions(deviation, reward)
    if deviation == "tagged":
        return VectorView(view, Tagged(view, n_envs, dispatcher, others, obs_mode), n_envs, autoreset_mode, reward)
    return VectorView(view, Fleets(view, n_envs, dispatcher, obs_mode), n_envs, autoreset_mode)


def _view(
    game: Game | str,
    n_agents: int | None = None,
    k: int | None = None,
    max_cycles: int | None = None,
    sampler: Sampler | str = "uniform",
) -> View:
    return View(game, n_agents, k, max_cycles, None, sampler)


def _parts(payment: Payment, present: Mask) -> Infos:
    """The parts of the team reward, 0 where there is none."""
    parts = {"reward_global": payment.global_reward, "reward_local_mean": payment.local_reward_mean}
    infos: Infos = {}
    for key, values in parts.items():
        infos[key], infos[f"_{key}"] = np.where(present, values, 0.0), present.copy()
    return infos
