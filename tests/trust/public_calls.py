"""A valid call of every public function and constructor, for tests that spoil one argument at a time.

`CALLS` maps the qualified name to (callable, keyword arguments); `more_calls` goes on, and names the classes that only
the library fills in. `test_arguments.py` checks that together they cover what kofn exports.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from kofn import agents, envs, wrappers
from kofn.agents import bounds
from kofn.agents.alternation.setting import Setting
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.wrappers import FiniteMDP, SubsampleObservation

Call = tuple[Callable[..., Any], dict[str, Any]]

ARRAYS = {
    "global_transition": np.full((2, 2, 2), 0.5),
    "local_transition": np.full((2, 2, 2, 2), 0.5),
    "global_reward": np.array([[0.0, 1.0], [0.5, 0.25]]),
    "local_reward": np.arange(8.0).reshape(2, 2, 2) / 8,
    "discount": 0.5,
}
GAME = TabularGame(**ARRAYS)
KEEP = GlobalPolicy.named("keep", GAME, 2)
UNIFORM = LocalPolicy.named("uniform", GAME)
SIZES = bounds.GameSizes.of(GAME)
ORACLE = envs.GenerativeGame.from_tables(GAME)
LOG = agents.collect_transitions(SubsampleObservation(PopulationEnv(GAME, 3), k=2), n_steps=200, seed=0)
MDP = FiniteMDP(
    successors=np.zeros((1, 1, 1), dtype=np.int64),
    probabilities=np.ones((1, 1, 1)),
    rewards=np.ones((1, 1)),
    start=np.ones(1),
)
EXPLORATION = bounds.Exploration(n_pairs=4, least_visited=0.1, mixing_time=3)
PAIR: dict[str, Any] = {"game": GAME, "global_policy": KEEP, "local_policy": UNIFORM}


def env() -> Any:
    """Three agents, two of them seen."""
    return SubsampleObservation(PopulationEnv(GAME, 3), k=2)


def labels() -> dict[str, Any]:
    """Names of two of everything."""
    return dict.fromkeys(("global_states", "local_states", "global_actions", "local_actions"), ("a", "b"))


def chain(pi_g: GlobalPolicy) -> agents.LumpedChain:
    """The deployed game of three agents."""
    return agents.LumpedChain.exact(GAME, pi_g, UNIFORM, 3)


ENVS: dict[str, Call] = {
    "TabularGame": (TabularGame, dict(ARRAYS)),
    "GenerativeGame": (
        envs.GenerativeGame,
        {
            "n_global_states": 2,
            "n_local_states": 2,
            "n_global_actions": 2,
            "n_local_actions": 2,
            "discount": 0.5,
            "sample_global": ORACLE.sample_global,
            "sample_local": ORACLE.sample_local,
            "pay_global": ORACLE.pay_global,
            "pay_local": ORACLE.pay_local,
            "global_reward_bounds": (0.0, 1.0),
            "local_reward_bounds": (0.0, 1.0),
        },
    ),
    "FixedStart": (envs.FixedStart, {"probabilities": np.array([0.5, 0.5])}),
    "DirichletStart": (envs.DirichletStart, {"concentration": np.array([0.5, 0.5])}),
    "RewardLaw": (envs.RewardLaw, {"values": np.zeros((2, 2, 1)), "probabilities": np.ones((2, 2, 1))}),
    "GlobalPolicy": (
        GlobalPolicy,
        {"table": np.zeros((2, 3), dtype=np.int64), "k": 2, "n_local_states": 2, "n_actions": 2},
    ),
    "LocalPolicy": (LocalPolicy, {"table": np.full((2, 2, 2), 0.5)}),
    "LumpedSimulator": (
        envs.LumpedSimulator,
        {"game": GAME, "n_agents": 3, "n_populations": 2, "local_timing": "paper"},
    ),
    "IndividualSimulator": (
        envs.IndividualSimulator,
        {"game": GAME, "n_agents": 3, "n_populations": 2, "local_timing": "paper"},
    ),
    "PopulationEnv": (
        PopulationEnv,
        {
            "game": GAME,
            "n_agents": 3,
            "max_cycles": 5,
            "obs_mode": "box",
            "render_mode": "ansi",
            "local_timing": "paper",
            "global_view": "all",
        },
    ),
    "game_id": (envs.game_id, {"name": "formation"}),
    "sampled_game": (envs.sampled_game, {"oracle": ORACLE, "n_samples": 3, "seed": 0}),
    "with_types": (envs.with_types, {"games": {"slow": GAME, "fast": GAME}, "shares": {"slow": 0.5, "fast": 0.5}}),
}

WRAPPERS: dict[str, Call] = {
    "SubsampleObservation": (
        SubsampleObservation,
        {"env": PopulationEnv(GAME, 3), "k": 2, "summary": "histogram", "sampler": "uniform"},
    ),
    "Stratified": (wrappers.Stratified, {"groups": np.array([0, 1])}),
    "DistanceWeighted": (wrappers.DistanceWeighted, {"distances": np.array([[0.0, 1.0], [1.0, 0.0]]), "scale": 1.0}),
    "GlobalBestResponse": (wrappers.GlobalBestResponse, {"game": GAME, "n_agents": 3, "k": 2, "local_policy": UNIFORM}),
    "LocalBestResponse": (wrappers.LocalBestResponse, {"game": GAME, "n_agents": 3, "k": 2, "global_policy": KEEP}),
    "ReplicaChain": (wrappers.ReplicaChain, {"game": GAME, "global_policy": KEEP, "n_replicas": 2, "max_cycles": 3}),
    "HistogramChain": (wrappers.HistogramChain, {"game": GAME, "global_policy": KEEP, "n_agents": 2, "max_cycles": 3}),
    "FiniteMDP": (
        FiniteMDP,
        {name: getattr(MDP, name) for name in ("successors", "probabilities", "rewards", "start")},
    ),
}

AGENTS: dict[str, Call] = {
    "AlternatingConfig": (agents.AlternatingConfig, {"eta": 0.1, "horizon": 5}),
    "GLearnConfig": (agents.GLearnConfig, {}),
    "GLearner": (agents.GLearner, {}),
    "LLearnConfig": (agents.LLearnConfig, {}),
    "LLearner": (agents.LLearner, {}),
    "UcfhConfig": (agents.UcfhConfig, {}),
    "StepRule": (agents.StepRule, {}),
    "AlternatingMARL": (agents.AlternatingMARL, {"env": env(), "seed": 0}),
    "Setting": (Setting, {"game": GAME, "n_agents": 3, "k": 2}),
    "LumpedChain.exact": (agents.LumpedChain.exact, {**PAIR, "n_agents": 3}),
    "backward_induction": (agents.backward_induction, {"mdp": MDP, "horizon": 3}),
    "evaluate_nonstationary": (
        agents.evaluate_nonstationary,
        {"mdp": MDP, "policy": np.zeros((3, 1), dtype=np.int64)},
    ),
    "ucfh": (agents.ucfh, {"problem": MDP, "horizon": 3, "config": agents.UcfhConfig(max_episodes=10), "seed": 0}),
    "g_learn": (agents.g_learn, {"game": GAME, "local_policy": UNIFORM, "k": 2, "seed": 0}),
    "l_learn": (agents.l_learn, {"game": GAME, "global_policy": KEEP, "seed": 0}),
    "climb_global": (agents.climb_global, {"build_chain": chain, "start": KEEP, "max_steps": 3}),
    "evaluate": (agents.evaluate, {**PAIR, "n_agents": 3, "horizon": 3, "n_rollouts": 4, "seed": 0}),
    "evaluate_sampled": (
        agents.evaluate_sampled,
        {**PAIR, "n_agents": 3, "sampler": "uniform", "horizon": 3, "n_rollouts": 4, "seed": 0},
    ),
    "subsample_mfq": (agents.subsample_mfq, {"game": GAME, "k": 2, "seed": 0}),
    "mean_field_value_iteration": (agents.mean_field_value_iteration, {"game": GAME, "n_agents": 2}),
    "evaluate_mfq": (
        agents.evaluate_mfq,
        {
            "game": GAME,
            "policy": agents.subsample_mfq(GAME, k=2, seed=0).policy,
            "n_agents": 3,
            "horizon": 3,
            "n_rollouts": 4,
            "seed": 0,
        },
    ),
    "centralised_local_bound": (
        agents.centralised_local_bound,
        {"game": GAME, "moves_law": np.full((2, 3, 2), 0.5), "n_agents": 2},
    ),
    "nash_gap": (agents.nash_gap, {**PAIR, "n_agents": 2, "n_restarts": 1, "seed": 0}),
    "sampled_nash_gap": (agents.sampled_nash_gap, {**PAIR, "n_agents": 3, "n_rollouts": 20, "seed": 0}),
    "collect_transitions": (agents.collect_transitions, {"env": env(), "n_steps": 5, "seed": 0}),
    "estimate_game": (agents.estimate_game, {"transitions": LOG, "discount": 0.5, "on_unvisited": "stay"}),
    "behaviour_mixing_time": (agents.behaviour_mixing_time, {"transitions": LOG}),
    "off_policy_g_learn": (agents.off_policy_g_learn, {"transitions": LOG, "discount": 0.5}),
    "off_policy_in_env": (agents.off_policy_in_env, {"env": env(), "n_steps": 5, "seed": 0}),
    "off_policy_in_surrogate": (
        agents.off_policy_in_surrogate,
        {"game": GAME, "local_policy": UNIFORM, "k": 2, "n_steps": 5, "seed": 0},
    ),
    "proposal_bound": (agents.proposal_bound, {"value_bound": 10.0, "eta": 0.5}),
    "update_verdict": (agents.update_verdict, {"old": 1.0, "new": 2.0, "half_width": 0.1}),
}

CALLS: dict[str, Call] = {**ENVS, **WRAPPERS, **AGENTS}
