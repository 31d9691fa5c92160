r"""The alternating driver at its defaults on every game of arrays, against what needs no training.

A pair is trained as `kofn train GAME` does, and played on fresh random numbers that all pairs share. Its margin is the
mean difference of the discounted returns, and its standard error that of the paired differences. Where several
constants are meant the strongest counts, found on the same random numbers, which favours it:

    random               both players uniform
    constants            one action for the global agent and one for all local agents
    constant dispatcher  one action for the global agent, beside the trained local agents
    constant fleet       one action for all local agents, beside the trained global agent
    myopic               a_g = argmax r_g(s_g, .),  a_l = argmax r_l(s_l, s_g, .),  the first of equals

The trained pair must beat random, constants and myopic by more than 4 standard errors. Beside a trained partner one
action can be a best response, so there the trained player must only be no worse, within 4 standard errors.
"""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
from result import Figure

from kofn.agents import AlternatingMARL, evaluate
from kofn.agents.evaluation import standard_error
from kofn.envs import GAMES, GlobalPolicy, LocalPolicy, TabularGame
from kofn.envs.arrays import FloatArray
from kofn.envs.registration import registered_game
from kofn.experiments.config import TrainConfig
from kofn.experiments.train import build_model

SEED = 0
QUICK = (("formation", 2), ("federated_optimization", 2))
EXTRA = (("federated_optimization", 4),)
STANDARD_ERRORS = 4
TO_BEAT = ("random", "constants", "myopic")

Pair = tuple[GlobalPolicy, LocalPolicy]


def runs(*, quick: bool) -> Iterator[tuple[str, int | None]]:
    """Games and k; None is the game's default."""
    if quick:
        yield from QUICK
        return
    yield from ((name, None) for name in GAMES if isinstance(registered_game(name), TabularGame))
    yield from EXTRA


def constant_fleets(game: TabularGame) -> list[LocalPolicy]:
    """The local policies of one action."""
    shape = (game.n_local_states, game.n_global_states)
    return [LocalPolicy.from_actions(np.full(shape, a), game.n_local_actions) for a in range(game.n_local_actions)]


def myopic_pair(game: TabularGame, k: int) -> Pair:
    """Both players take what pays most at once."""
    constants = [GlobalPolicy.constant(game, k, a).table for a in range(game.n_global_actions)]
    table = np.stack(constants)[game.global_reward.argmax(axis=1), np.arange(game.n_global_states)]
    dispatcher = GlobalPolicy(table=table, k=k, n_local_states=game.n_local_states, n_actions=game.n_global_actions)
    return dispatcher, LocalPolicy.from_actions(game.local_reward.argmax(axis=2), game.n_local_actions)


def rivals(model: AlternatingMARL) -> dict[str, list[Pair]]:
    """Pairs to compare the trained pair with, by what they are."""
    game, k = model.setting.game, model.setting.k
    assert isinstance(game, TabularGame)  # as `runs` chooses
    dispatchers = [GlobalPolicy.constant(game, k, a) for a in range(game.n_global_actions)]
    fleets = constant_fleets(game)
    return {
        "random": [(GlobalPolicy.named("uniform", game, k), LocalPolicy.named("uniform", game))],
        "constants": [(dispatcher, fleet) for dispatcher in dispatchers for fleet in fleets],
        "constant dispatcher": [(dispatcher, model.local_policy) for dispatcher in dispatchers],
        "constant fleet": [(model.global_policy, fleet) for fleet in fleets],
        "myopic": [myopic_pair(game, k)],
    }


def returns_in(model: AlternatingMARL, n_rollouts: int) -> Callable[[GlobalPolicy, LocalPolicy], FloatArray]:
    """A pair's discounted returns, float [rollout], on random numbers the training never saw."""
    setting = model.setting

    def returns(dispatcher: GlobalPolicy, fleet: LocalPolicy) -> FloatArray:
        return evaluate(
            setting.game,
            dispatcher,
            fleet,
            setting.n_agents,
            horizon=setting.max_cycles,
            n_rollouts=n_rollouts,
            seed=[SEED, 1],
        ).returns

    return returns


def measure(*, quick: bool) -> list[Figure]:
    """The figures of this benchmark."""
    n_rollouts = 250 if quick else 2000
    return [figure for name, k in runs(quick=quick) for figure in _measure_game(name, k, n_rollouts)]


def _measure_game(name: str, k: int | None, n_rollouts: int) -> Iterator[Figure]:
    """Train on one game and compare."""
    model = build_model(TrainConfig(game=name, k=k, seed=SEED))
    began = time.perf_counter()
    model.learn()
    seconds = time.perf_counter() - began
    returns = returns_in(model, n_rollouts)
    trained = returns(model.global_policy, model.local_policy)
    for rival, pairs in rivals(model).items():
        strongest = max((returns(*pair) for pair in pairs), key=np.mean)
        margin, error = float((trained - strongest).mean()), standard_error(trained - strongest)
        # The next float above, because a pair that plays just as its rival does must not pass at 0 >= 0.
        more = math.nextafter(STANDARD_ERRORS * error, math.inf)
        yield Figure(
            name=f"{name}, k={model.setting.k}: trained over {rival}",
            value=margin,
            limit=more if rival in TO_BEAT else -STANDARD_ERRORS * error,
            at_least=True,
            note=f"standard error {error:.2g}; {trained.mean():.2f} against {strongest.mean():.2f}; "
            f"{seconds:.0f} s of training",
        )
