"""The single-agent views against brute force over individuals, against `evaluate`, and under the checkers of others.

Laws are tested by Pearson's chi-square (cells with fewer than 5 expected pooled) at level 1e-4 and means within 4.5
standard errors, on fixed seeds.
"""

from collections.abc import Callable
from itertools import combinations, product
from math import prod
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from oracle import brute_force
from scipy.stats import chisquare, ks_2samp

from kofn.agents import evaluate
from kofn.envs import GAMES, DirichletStart, Game, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.continuous import ContinuousGame
from kofn.envs.observations import OBS_MODES, GlobalEncoding, LocalEncoding
from kofn.envs.registration import registered_game
from kofn.wrappers import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.view import METADATA

MakeGame = Callable[..., TabularGame]
LEVEL, STANDARD_ERRORS = 1e-4, 4.5
N, K, HORIZON = 3, 2, 12

every_mode = pytest.mark.parametrize("obs_mode", OBS_MODES)
every_view = pytest.mark.parametrize("view", ["global", "tagged", "shared"])


@pytest.fixture(scope="module")
def game(random_game: MakeGame) -> TabularGame:
    """Two states and actions each; starts are correlated, so that the tagged agent's must fit the others'."""
    return random_game(8, initial_local=DirichletStart.symmetric(0.5, 2))


@pytest.fixture(scope="module")
def policies(game: TabularGame) -> tuple[GlobalPolicy, LocalPolicy]:
    """A deterministic global policy that heeds what it sees, and a stochastic local one."""
    heeding = GlobalPolicy(table=np.array([[0, 1, 1], [1, 0, 1]]), k=K, n_local_states=2, n_actions=2)
    return heeding, LocalPolicy(np.random.default_rng(0).dirichlet(np.ones(2), (2, 2)))


# The oracle: every agent on its own.


def chain(game: TabularGame, global_policy: GlobalPolicy, policies: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(P [s, s'], R [s]) over joint states when agent i follows `policies[i]` [s_l, s_g, a_l]."""
    states = brute_force.joint_states(game, len(policies))
    transition, rewards = np.zeros((len(states), len(states))), np.zeros(len(states))
    for i, s in enumerate(states):
        chosen = brute_force.global_law(global_policy.probabilities(), s, game.n_local_states, global_policy.k)
        for a_g, *actions in product(range(game.n_global_actions), *[range(game.n_local_actions)] * len(policies)):
            own = zip(policies, s[1:], actions, strict=True)
            weight = chosen[a_g] * prod(policy[x, s[0], a] for policy, x, a in own)
            transition[i] += weight * brute_force.next_law(game, s, a_g, tuple(actions))
            rewards[i] += weight * brute_force.reward(game, s, a_g, tuple(actions))
    return transition, rewards


def exact_return(game: TabularGame, transition: np.ndarray, rewards: np.ndarray) -> float:
    """Mean discounted return of `HORIZON` steps."""
    value = np.zeros(len(rewards))
    for _ in range(HORIZON):
        value = rewards + game.discount * transition @ value
    return float(brute_force.start_law(game, N) @ value)


def assert_law(counts: np.ndarray, law: np.ndarray) -> None:
    """Counts are a sample from the law."""
    counts, expected = counts.ravel(), law.ravel() * counts.sum()
    assert law.sum() == pytest.approx(1)
    assert counts[expected == 0].sum() == 0
    rare = expected < 5
    pooled = [np.append(values[~rare], values[rare].sum()) for values in (counts, expected)]
    kept = pooled[1] > 0
    assert chisquare(pooled[0][kept], pooled[1][kept]).pvalue > LEVEL


def assert_mean(values: np.ndarray, expected: float) -> None:
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert error > 0
    assert abs(values.mean() - expected) <= STANDARD_ERRORS * error


def pair_law(observe: np.ndarray, start: np.ndarray, transition: np.ndarray) -> np.ndarray:
    """Joint law of two observations in a row; `observe` [s, observation] holds their laws given the joint state."""
    return observe.T @ (start[:, None] * transition) @ observe


def one_step(env: Any, act: Callable[[Any], Any], n_samples: int = 2500) -> tuple[np.ndarray, np.ndarray]:
    """(counts of pairs of observations in a row, rewards) in the first steps of many episodes."""
    size = int(env.observation_space.n)
    counts, rewards = np.zeros((size, size)), []
    for i in range(n_samples):
        first, _ = env.reset(seed=11 if i == 0 else None)
        second, reward, *_ = env.step(act(first))
        counts[first, second] += 1
        rewards.append(reward)
    return counts, np.array(rewards)


def returns(env: Any, act: Callable[[Any], Any], n_episodes: int = 400) -> np.ndarray:
    """Discounted returns of many episodes."""
    totals = np.zeros(n_episodes)
    for i in range(n_episodes):
        observation, _ = env.reset(seed=12 if i == 0 else None)
        truncated, t = False, 0
        while not truncated:
            observation, reward, _, truncated, _ = env.step(act(observation))
            totals[i] += env.discount**t * reward
            t += 1
        assert t == HORIZON
    return totals


def assert_like_evaluate(ours: np.ndarray, game: TabularGame, pair: tuple[GlobalPolicy, LocalPolicy]) -> None:
    """The returns have the law of those of `evaluate`."""
    theirs = evaluate(game, *pair, N, k=K, horizon=HORIZON, n_rollouts=4000, seed=13)
    error = np.hypot(ours.std(ddof=1) / np.sqrt(len(ours)), theirs.standard_error)
    assert abs(ours.mean() - theirs.mean) <= STANDARD_ERRORS * error
    assert ks_2samp(ours, theirs.returns).pvalue > LEVEL


# Laws.


@pytest.mark.parametrize("a_g", [0, 1])
def test_global_view_has_the_law_of_one_step(game: TabularGame, policies: Any, a_g: int) -> None:
    _, local_policy = policies
    states = brute_force.joint_states(game, N)
    observe = np.zeros((len(states), 6))
    for i, s in enumerate(states):
        for seen in combinations(s[1:], K):
            observe[i, s[0] * 3 + brute_force.rank(seen, 2)] += 1 / 3
    start = brute_force.start_law(game, N)
    transition, rewards = brute_force.decision(game, N, local_policy.table, a_g)
    env = GlobalBestResponse(game, n_agents=N, k=K, local_policy=local_policy, obs_mode="discrete")
    counts, paid = one_step(env, lambda _: a_g)
    assert_law(counts, pair_law(observe, start, transition))
    assert_mean(paid, float(start @ rewards))


@pytest.mark.parametrize("learner", [[[0, 1], [1, 0]], [[1, 1], [1, 1]]])
def test_tagged_view_has_the_law_of_one_step(game: TabularGame, policies: Any, learner: list[list[int]]) -> None:
    global_policy, others = policies
    own = LocalPolicy.from_actions(learner, 2)
    states = brute_force.joint_states(game, N)
    observe = np.eye(4)[[s[1] * 2 + s[0] for s in states]]
    start = brute_force.start_law(game, N)
    transition, rewards = chain(game, global_policy, [own.table, others.table, others.table])
    env = LocalBestResponse(game, n_agents=N, global_policy=global_policy, local_policy=others, obs_mode="discrete")
    counts, paid = one_step(env, lambda seen: learner[seen // 2][seen % 2])
    assert_law(counts, pair_law(observe, start, transition))
    assert_mean(paid, float(start @ rewards))


@pytest.mark.parametrize("learner", [[[0, 1], [1, 0]], [[1, 0], [1, 1]]])
def test_shared_view_has_the_law_of_one_step(game: TabularGame, policies: Any, learner: list[list[int]]) -> None:
    global_policy, _ = policies
    own = LocalPolicy.from_actions(learner, 2)
    observe = np.eye(2)[[s[0] for s in brute_force.joint_states(game, N)]]
    start = brute_force.start_law(game, N)
    transition, rewards = chain(game, global_policy, [own.table] * N)
    env = LocalBestResponse(
        game, n_agents=N, global_policy=global_policy, deviation="shared", obs_mode="discrete", local_policy="stay"
    )
    counts, paid = one_step(env, lambda s_g: [learner[x][s_g] for x in range(2)])
    assert_law(counts, pair_law(observe, start, transition))
    assert_mean(paid, float(start @ rewards))


def test_stochastic_global_policy_is_followed(game: TabularGame, policies: Any) -> None:
    mixed = GlobalPolicy(table=np.full((2, 3, 2), [0.8, 0.2]), k=K, n_local_states=2, n_actions=2)
    _, others = policies
    observe = np.eye(4)[[s[1] * 2 + s[0] for s in brute_force.joint_states(game, N)]]
    transition, _ = chain(game, mixed, [others.table] * N)
    env = LocalBestResponse(game, n_agents=N, global_policy=mixed, local_policy=others, obs_mode="discrete")
    rng = np.random.default_rng(0)
    counts, _ = one_step(env, lambda seen: int(rng.random() < others.table[seen // 2, seen % 2, 1]))
    assert_law(counts, pair_law(observe, brute_force.start_law(game, N), transition))


@pytest.mark.parametrize("deviation", ["tagged", "shared"])
def test_stochastic_global_policy_is_sampled(deviation: Any) -> None:
    """Nobody ever moves and r_g = a_g, so that rewards show the actions."""
    frozen = TabularGame(
        global_transition=np.ones((1, 3, 1)),
        local_transition=np.ones((1, 1, 1, 1)),
        global_reward=np.arange(3.0)[None],
        local_reward=np.zeros((1, 1, 1)),
        discount=0.9,
    )
    law = np.array([0.5, 0.0, 0.5])
    sizes = {"n_agents": 4, "k": 2, "max_cycles": 2000}
    env = LocalBestResponse(frozen, global_policy=law[None, None], deviation=deviation, **sizes)
    env.reset(seed=0)
    action = env.action_space.sample()
    actions = [int(env.step(action)[4]["reward_global"]) for _ in range(2000)]
    assert_law(np.bincount(actions, minlength=3), law)


# Returns.


def test_global_view_returns_what_its_policy_is_worth(game: TabularGame, policies: Any) -> None:
    global_policy, local_policy = policies
    env = GlobalBestResponse(game, n_agents=N, k=K, local_policy=local_policy, max_cycles=HORIZON)
    encoding = GlobalEncoding(2, 2, K)
    ours = returns(env, lambda seen: int(global_policy.act(*encoding.decode(seen[None]))[0]))
    assert_mean(ours, exact_return(game, *chain(game, global_policy, [local_policy.table] * N)))
    assert_like_evaluate(ours, game, policies)


def test_tagged_agent_that_plays_like_the_others_returns_their_value(game: TabularGame, policies: Any) -> None:
    global_policy, others = policies
    env = LocalBestResponse(
        game, n_agents=N, global_policy=global_policy, local_policy=others, max_cycles=HORIZON, obs_mode="box"
    )
    encoding, rng = LocalEncoding(2, 2), np.random.default_rng(0)
    ours = returns(env, lambda seen: int(others.act(*encoding.decode(seen), rng)))
    assert_mean(ours, exact_return(game, *chain(game, global_policy, [others.table] * N)))
    assert_like_evaluate(ours, game, policies)


def test_tagged_agent_that_deviates_returns_its_value(game: TabularGame, policies: Any) -> None:
    global_policy, others = policies
    env = LocalBestResponse(
        game, n_agents=N, global_policy=global_policy, local_policy=others, max_cycles=HORIZON, obs_mode="multidiscrete"
    )
    ours = returns(env, lambda seen: int(seen[0] == seen[1]))
    deviant = LocalPolicy.from_actions(np.eye(2, dtype=int), 2)
    assert_mean(ours, exact_return(game, *chain(game, global_policy, [deviant.table, others.table, others.table])))


def test_shared_view_returns_what_the_played_rows_are_worth(game: TabularGame, policies: Any) -> None:
    global_policy, _ = policies
    actions = np.array([[1, 0], [0, 1]])  # [s_l, s_g]
    own = LocalPolicy.from_actions(actions, 2)
    env = LocalBestResponse(game, n_agents=N, global_policy=global_policy, deviation="shared", max_cycles=HORIZON)
    ours = returns(env, lambda seen: actions[:, int(seen.argmax())])
    assert_mean(ours, exact_return(game, *chain(game, global_policy, [own.table] * N)))
    assert_like_evaluate(ours, game, (global_policy, own))


def test_single_local_agent(random_game: MakeGame) -> None:
    """With n = 1 everything is seen: rewards follow from the observation alone."""
    game = random_game(2, n_global=3, n_local=2, n_global_actions=2, n_local_actions=3)
    table = np.array([[0, 1], [1, 1], [1, 0]])  # [s_g, rank]: rank 0 is an agent in state 1
    policy = GlobalPolicy(table=table, k=1, n_local_states=2, n_actions=2)
    env = LocalBestResponse(game, n_agents=1, global_policy=policy, obs_mode="multidiscrete", max_cycles=40)
    seen, _ = env.reset(seed=0)
    rng, truncated = np.random.default_rng(0), False
    while not truncated:
        (s_l, s_g), a_l = seen, int(rng.integers(3))
        seen, reward, _, truncated, info = env.step(a_l)
        assert info["reward_global"] == pytest.approx(game.global_reward[s_g, table[s_g, 1 - s_l]], rel=1e-12)
        assert info["reward_local_mean"] == pytest.approx(game.local_reward[s_l, s_g, a_l], rel=1e-12)
        assert reward == pytest.approx(info["reward_global"] + info["reward_local_mean"], rel=1e-12)


def test_a_tagged_agent_is_paid_its_own_reward_where_that_is_asked_for(game: TabularGame) -> None:
    """The same episode as with the team's, of three agents; the mean over all is another number."""
    options: dict[str, Any] = {"n_agents": 3, "max_cycles": 6, "obs_mode": "multidiscrete"}
    views = [LocalBestResponse(game, reward=paid, **options) for paid in ("own", "team")]
    seen, _ = [view.reset(seed=4)[0] for view in views]
    for a_l in (0, 1, 1, 0):
        (after, own, *_), (_, team, _, _, info) = (view.step(a_l) for view in views)
        assert own == game.local_reward[*seen, a_l]
        assert team == pytest.approx(info["reward_global"] + info["reward_local_mean"])
        seen = after
    with pytest.raises(ValueError, match="reward='own' is one agent's: it needs deviation='tagged'"):
        LocalBestResponse(game, n_agents=3, deviation="shared", reward="own")


# The checkers of Gymnasium and Stable-Baselines3.


def registered(name: str, view: str, **options: Any) -> Any:
    """A small view made by its id."""
    identity = "GlobalBestResponse" if view == "global" else "LocalBestResponse"
    deviation = {} if view == "global" else {"deviation": view}
    small = {"game": name, "n_agents": 12, "k": 3, **deviation, **options}
    return gymnasium.make(f"kofn.envs:kofn/{identity}-v0", **small)


def is_refused(name: str, view: str, obs_mode: str) -> bool:
    """Games without arrays have no views, and those with continuous states one mode; both say so."""
    game = registered_game(name)
    if isinstance(game, Game) or (isinstance(game, ContinuousGame) and obs_mode == "box"):
        return False
    said = "obs_mode must be one of 'box'" if isinstance(game, ContinuousGame) else f"arrays .*; '{name}' is of type"
    with pytest.raises((TypeError, ValueError), match=said):
        registered(name, view, obs_mode=obs_mode)
    return True


@pytest.mark.parametrize("name", GAMES)
@every_view
@every_mode
def test_gymnasium_checker(name: str, view: str, obs_mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_refused(name, view, obs_mode):
        return
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(METADATA, "render_fps", 1000)
    env = registered(name, view, obs_mode=obs_mode)
    check_env(env.unwrapped, skip_render_check=obs_mode != "box")


@pytest.mark.parametrize("name", GAMES)
@every_view
@every_mode
def test_stable_baselines3_checker(name: str, view: str, obs_mode: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    if is_refused(name, view, obs_mode):
        return
    checker.check_env(registered(name, view, obs_mode=obs_mode).unwrapped)


def test_dqn_learns_a_plain_game() -> None:
    """s_g is drawn uniformly whatever is done, and acting "the other one" pays: greedy must be 1 - s_g everywhere."""
    torch = pytest.importorskip("torch")
    sb3 = pytest.importorskip("stable_baselines3")
    torch.set_num_threads(1)
    game = TabularGame(
        global_transition=np.full((2, 2, 2), 0.5),
        local_transition=np.full((2, 2, 1, 2), 0.5),
        global_reward=1 - np.eye(2),
        local_reward=np.zeros((2, 2, 1)),
        discount=0.5,
    )
    env = GlobalBestResponse(game, n_agents=4, k=2, max_cycles=20)
    settings = {"learning_rate": 1e-2, "learning_starts": 100, "train_freq": 4, "exploration_fraction": 0.5}
    net = {"net_arch": [16]}
    model = sb3.DQN("MlpPolicy", env, gamma=env.discount, seed=0, device="cpu", policy_kwargs=net, **settings)
    model.learn(1500)
    encoding = GlobalEncoding(2, 2, 2)
    for s_g, c in product(range(2), range(3)):
        seen = encoding.encode(np.array([s_g]), np.array([[c, 2 - c]]))[0]
        assert int(model.predict(seen, deterministic=True)[0]) == 1 - s_g
