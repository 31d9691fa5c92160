"""More valid calls (see `public_calls`): theorems, linear and observation-aware learners, several starts, networks."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from oracle.two_sides import two_sides
from trust.public_calls import EXPLORATION, GAME, KEEP, LOG, PAIR, SIZES, UNIFORM, Call, env

from kofn import agents, envs, wrappers
from kofn.agents import bounds
from kofn.agents.deep.best_response import DeepGlobal, DeepLocal
from kofn.agents.deep.mode_classifier import ModeClassifier
from kofn.agents.deep.plug_in import Sb3Learner, env_learner
from kofn.envs import AggregateGame, ContinuousGame, PopulationEnv
from kofn.wrappers.vector_views import global_best_response_vec, local_best_response_vec

NOISE = bounds.bellman_noise(5, 2, SIZES)
NAMES = ("first", "second")
FEATURES = agents.IndicatorFeatures.of(GAME, 2)
LINE = two_sides()
TRAINED = agents.MultiStart(env(), agents.AlternatingConfig(evaluation="exact", eta=1.0, max_alternations=1), seed=0)
TRAINED.learn()

THEOREMS: dict[str, Any] = {
    "k": 2,
    "n_agents": 5,
    "n_local_states": 2,
    "n_global_states": 2,
    "n_global_actions": 2,
    "n_actions": 2,
    "sizes": SIZES,
    "discount": 0.5,
    "delta": 0.1,
    "eta": 0.5,
    "m": 5,
    "n_steps": 100,
    "step_size": 0.1,
    "exploration": EXPLORATION,
    "radius": 0.1,
    "n_rollouts": 10,
    "horizon": 5,
    "reward_bound": 1.0,
    "total_variation": 0.1,
    "error": 0.1,
    "spread": 1.0,
    "n_draws": 5,
    "threshold": 0.5,
    "response_error": 0.1,
    "game": GAME,
    "kind": "replicas",
    "chain": bounds.chain_size("replicas", 2, SIZES),
}
"""Values of the theorems' arguments by name."""


def of_theorem(function: Callable[..., Any]) -> Call:
    """A function of the theorems with the arguments it requires."""
    parameters = inspect.signature(function).parameters.values()
    return function, {p.name: THEOREMS[p.name] for p in parameters if p.default is p.empty}


ARRAY_THEOREMS: dict[str, Call] = {
    "asynchronous_operator": (
        bounds.asynchronous_operator,
        {
            "q_values": np.zeros((1, 2)),
            "transition": np.ones((1, 2, 1)),
            "rewards": np.zeros((1, 2)),
            "policy": np.full((1, 2), 0.5),
            "discount": 0.5,
        },
    ),
    "dobrushin": (bounds.dobrushin, {"transition": np.full((2, 2, 2), 0.5)}),
    "stationary_law": (bounds.stationary_law, {"chain": np.full((2, 2), 0.5)}),
    "union": (lambda source: bounds.union(NOISE, NOISE, source=source), {"source": "both"}),
    "Exploration": (bounds.Exploration, {"n_pairs": 4, "least_visited": 0.1, "mixing_time": 3}),
    "GameSizes": (bounds.GameSizes, dict(vars(SIZES))),
}
BOUNDS: dict[str, Call] = {
    **{
        name: of_theorem(function)
        for name in bounds.__all__
        if inspect.isfunction(function := getattr(bounds, name)) and name not in ARRAY_THEOREMS
    },
    **ARRAY_THEOREMS,
}

MORE_ENVS: dict[str, Call] = {
    "AggregateGame": (AggregateGame, {"tables": GAME, "reward_of_mean": np.square}),
    "ContinuousGame": (
        ContinuousGame,
        {name: getattr(LINE, name) for name in inspect.signature(ContinuousGame).parameters},
    ),
    "Labels": (
        envs.Labels,
        {"title": "a game", **dict.fromkeys(("global_states", "local_states"), NAMES)}
        | dict.fromkeys(("global_actions", "local_actions"), NAMES),
    ),
    "Streams.from_seed": (envs.Streams.from_seed, {"seed": 0}),
}

MORE_WRAPPERS: dict[str, Call] = {
    "Homogenize": (wrappers.Homogenize, {"env": PopulationEnv(GAME, 3)}),
    "homogenize": (wrappers.homogenize, {"env": PopulationEnv(GAME, 3), "no_op": (0, 0)}),
    "Uniform": (wrappers.Uniform, {}),
    "global_best_response_vec": (
        global_best_response_vec,
        {"num_envs": 2, "game": GAME, "local_policy": UNIFORM, "n_agents": 3, "k": 2},
    ),
    "local_best_response_vec": (
        local_best_response_vec,
        {"num_envs": 2, "game": GAME, "global_policy": KEEP, "n_agents": 3, "deviation": "shared"},
    ),
}

MORE_AGENTS: dict[str, Call] = {
    "IndicatorFeatures": (agents.IndicatorFeatures, {"n_global_states": 2, "n_local_states": 2, "k": 2}),
    "ProductFeatures.of": (agents.ProductFeatures.of, {"game": GAME, "degree": 2}),
    "LinearGLearnConfig": (agents.LinearGLearnConfig, {}),
    "LinearGlobalPolicy": (
        agents.LinearGlobalPolicy,
        {"features": FEATURES, "weights": np.zeros((FEATURES.size, 2)), "k": 2},
    ),
    "linear_g_learn": (
        agents.linear_g_learn,
        {
            "game": GAME,
            "local_policy": UNIFORM,
            "k": 2,
            "features": FEATURES,
            "seed": 0,
            **{"n_states": 20, "n_rounds": 1, "horizon": 3, "max_iterations": 5},
        },
    ),
    "CoarseGlobalPolicy": (agents.CoarseGlobalPolicy, {"coarse": KEEP, "k": 4}),
    "split_gain": (agents.split_gain, {"model": TRAINED, "returns": lambda *_: np.zeros(3)}),
    "ObservationAwareConfig": (agents.ObservationAwareConfig, {}),
    "ObservationAware": (agents.ObservationAware, {}),
    "observation_aware": (
        agents.observation_aware,
        {"game": GAME, "local_policy": UNIFORM, "n_agents": 3, "k": 2, "seed": 0},
    ),
    "MultiStart": (agents.MultiStart, {"env": env(), "seed": 0}),
    "JointPolicy": (
        agents.JointPolicy,
        {"global_policy": KEEP, "action_counts": agents.subsample_mfq(GAME, k=2, seed=0).policy.action_counts},
    ),
    "LumpedChain": (
        agents.LumpedChain,
        {**PAIR, "kernels": agents.LumpedChain.exact(**PAIR, n_agents=3).kernels, "n_agents": 3},
    ),
    "Transitions": (agents.Transitions, {field.name: getattr(LOG, field.name) for field in fields(LOG)}),
    "DeepGlobal": (DeepGlobal, {}),
    "DeepLocal": (DeepLocal, {}),
    "ModeClassifier": (ModeClassifier, {}),
    "Sb3Learner": (Sb3Learner, {"algorithm": type("Learner", (), {"learn": None}), "total_timesteps": 5}),
    "env_learner": (env_learner, {"train": lambda view: view, "deviation": "tagged"}),
}

MORE_CALLS: dict[str, Call] = {**BOUNDS, **MORE_ENVS, **MORE_WRAPPERS, **MORE_AGENTS}

OUTCOMES = {
    "AlternatingResult",
    "Bound",
    "CentralisedBound",
    "ChainSize",
    "ClimbOutcome",
    "Count",
    "Equilibrium",
    "EquilibriumBound",
    "Evaluation",
    "GLearnResult",
    "GLearnTheory",
    "GainSplit",
    "GameEstimate",
    "GapBracket",
    "LLearnResult",
    "LinearGLearnResult",
    "Method",
    "MfqResult",
    "MultiStartResult",
    "NashGap",
    "NonstationaryPlan",
    "ObservationAwareResult",
    "OffPolicyResult",
    "Problem",
    "Proposal",
    "SampledGap",
    "SampledNashGap",
    "UcfhResult",
}
"""Classes that only the library fills in."""

NO_CALLS = {"EXACT", "Features", "GAMES", "Game", "Sampler", "SpaceSizes", "Verdict"}
"""Constants, names of types, protocols, and a named tuple that a log computes."""
