r"""Networks that imitate a policy given in any other form: behaviour cloning, to start learning from a convention.

The teacher plays; what it sees and does is learned by cross-entropy (`fit_labels`). The global teacher's situations are
those of whole episodes with the given local policy, half of them with s_g drawn anew between its bounds, so that the
network also knows what to do where the teacher never goes. The local teacher's are pairs (s_i, s_g) between their
bounds, half of them with s_i near s_g.
"""

import numpy as np

from kofn.agents.alternation.pairs import HIDDEN
from kofn.agents.deep.networks import FitConfig, fit_labels
from kofn.agents.line_evaluation import acting_policy
from kofn.envs.continuous import ContinuousGame
from kofn.envs.continuous_simulator import ContinuousSimulator
from kofn.envs.line_policies import LineGlobalPolicy, LineLocalPolicy, MlpGlobalPolicy, MlpLocalPolicy, uniform_layers
from kofn.envs.population import sample_without_replacement
from kofn.envs.streams import Seed, Streams, child, seed_sequence

CLONING = FitConfig(n_steps=600, learning_rate=3e-3, batch_size=512, smoothing=0.1)
NEAR = 0.08
"""Half-width, as a share of the range, of where local situations crowd around the global state."""


def clone_global(
    teacher: LineGlobalPolicy,
    local_policy: LineLocalPolicy,
    game: ContinuousGame,
    n_agents: int,
    *,
    sees_global_state: bool = True,
    horizon: int = 50,
    n_episodes: int = 200,
    config: FitConfig = CLONING,
    seed: Seed = None,
) -> MlpGlobalPolicy:
    """A network that acts as `teacher` does in episodes with `local_policy`; other arguments as everywhere."""
    root = seed_sequence(seed)
    streams, acting = Streams.from_seed(child(root, 0)), acting_policy(local_policy, game)
    simulator = ContinuousSimulator(game, n_agents, n_populations=n_episodes)
    simulator.reset(streams)
    n_inputs = len(game.bin_edges) - 1 + int(sees_global_state)
    layers = uniform_layers(n_inputs, game.n_global_actions, HIDDEN, np.random.default_rng(child(root, 1)))
    pupil = MlpGlobalPolicy(layers=layers, k=teacher.k, sees_global_state=sees_global_state)
    observations, labels = [], []
    for _ in range(horizon):
        seen = sample_without_replacement(streams.sampling, simulator.counts(), teacher.k)
        elsewhere = streams.policy.uniform(*game.global_bounds, n_episodes).astype(np.float32)
        action = teacher.act(simulator.global_states, seen)
        observations += [pupil.inputs(simulator.global_states, seen), pupil.inputs(elsewhere, seen)]
        labels += [action, teacher.act(elsewhere, seen)]
        moves = acting.act(simulator.local_states, simulator.global_states[:, None])
        simulator.step(action, moves)
    fitted, _ = fit_labels(layers, np.concatenate(observations), np.concatenate(labels), config, child(root, 2))
    return MlpGlobalPolicy(layers=fitted, k=teacher.k, sees_global_state=sees_global_state)


def clone_local(
    teacher: LineLocalPolicy,
    game: ContinuousGame,
    *,
    n_situations: int = 100_000,
    config: FitConfig = CLONING,
    seed: Seed = None,
) -> MlpLocalPolicy:
    """A network that acts as `teacher` does at places between the game's bounds."""
    root = seed_sequence(seed)
    rng = np.random.default_rng(child(root, 0))
    low, high = game.local_bounds
    shared = rng.uniform(*game.global_bounds, n_situations)
    near = shared + rng.uniform(-NEAR, NEAR, n_situations) * (high - low)
    own = np.where(rng.random(n_situations) < 0.5, near.clip(low, high), rng.uniform(low, high, n_situations))
    places = np.stack([own, shared], axis=1).astype(np.float32)
    labels = teacher.act(places[:, 0], places[:, 1])
    start = uniform_layers(2, game.n_local_actions, HIDDEN, np.random.default_rng(child(root, 1)))
    return MlpLocalPolicy(layers=fit_labels(start, places, labels, config, child(root, 2))[0])
