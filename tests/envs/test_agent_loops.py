"""The compiled loops of individual agents: inversion of their own numbers, types of integers, arrays used again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from word_streams import stream

from kofn.envs import IndividualSimulator, LumpedSimulator, Streams, TabularGame, loops
from kofn.envs.agent_kernel import UNSURE
from kofn.envs.inversion import cumulative_thresholds, integer_thresholds
from kofn.envs.recycling import Recycler
from kofn.envs.xoshiro import mixed_word, next_word, start_stream


@pytest.mark.parametrize("guided", [True, False])
def test_agents_are_drawn_by_inversion_of_their_own_numbers(
    guided: bool, random_game: Callable[..., TabularGame]
) -> None:
    """The compiled step, number by number: agent i has the i-th byte of its population's stream, and 45 bits more."""
    game = random_game(7, n_local=4, n_local_actions=3, n_global=2)
    rng = np.random.default_rng(8)
    states, actions = rng.integers(0, 4, (2, 500)), rng.integers(0, 3, (2, 500))
    s_g = np.array([[1, 0], [0, 1]])
    thresholds = integer_thresholds(cumulative_thresholds(game.local_transition))
    guides = loops.guides_of(thresholds.reshape(-1, 3)).ravel() if guided else np.full(1, UNSURE, dtype=np.uint8)
    moved, paid, sums = np.empty_like(states), np.empty(states.shape), np.empty(2)
    key, tables = stream(9), (thresholds.ravel(), guides)
    rewards, out = game.local_reward.flatten(), (moved.reshape(-1), paid.reshape(-1), sums)
    assert loops.step_agents(key, states.ravel(), s_g, actions.ravel(), tables, rewards, (4, 2, 3), out) == -1
    for b in range(2):
        state = np.empty(4, dtype=np.uint64)
        start_stream(key, b, state)
        start, word = state[1], 0
        for i in range(500):
            word = int(next_word(state)) if i % 8 == 0 else word >> 8
            number = (word & 255) << 45 | int(mixed_word(start, i)) >> 19
            assert paid[b, i] == game.local_reward[states[b, i], s_g[0, b], actions[b, i]]
            assert moved[b, i] == (number >= thresholds[states[b, i], s_g[1, b], actions[b, i]]).sum()
        assert sums[b] == pytest.approx(paid[b].sum(), rel=1e-12)


def test_guides_name_the_outcome_of_all_numbers_that_a_byte_begins() -> None:
    thresholds = integer_thresholds(cumulative_thresholds(np.array([[0.5, 0.0, 0.25, 0.25], [1e-9, 0.7, 0.3, 0.0]])))
    for limits, guide in zip(thresholds.tolist(), loops.guides_of(thresholds).tolist(), strict=True):
        for byte, outcome in enumerate(guide):
            found = {sum(number >= limit for limit in limits) for number in (byte << 45, (byte + 1 << 45) - 1)}
            assert found == {outcome} or (len(found) > 1 and outcome == UNSURE)


def test_other_integers_step_like_their_own(random_game: Callable[..., TabularGame]) -> None:
    """Arrays of other kinds, strided or read-only, and a policy overwritten in place."""
    found = []
    for kind in ("plain", "odd"):
        simulator = LumpedSimulator(random_game(1), 300, n_populations=4)
        simulator.reset(Streams.from_seed(0))
        policy = np.full((2, 2, 2), 0.5)
        actions = np.zeros(4, dtype=np.int64)
        for t in range(4):
            policy[..., 0] = 0.1 + 0.2 * t
            policy[..., 1] = 1 - policy[..., 0]
            if kind == "odd":
                actions = np.zeros(8, dtype=np.int32)[::2]
                for array in (actions, simulator.counts, simulator.global_states):
                    array.setflags(write=False)
            simulator.step(actions, policy if kind == "plain" else np.asfortranarray(policy))
        found.append((simulator.counts.tolist(), simulator.global_states.tolist()))
    assert found[0] == found[1]


def test_arrays_of_earlier_steps_stay_as_they_were(random_game: Callable[..., TabularGame]) -> None:
    """Whatever is held, whole or in part, is left alone; what is not may be used again."""
    simulator = IndividualSimulator(random_game(2), 100)
    simulator.reset(Streams.from_seed(0))
    actions = np.zeros((1, 100), dtype=np.int64)
    held: list[tuple[Any, Any]] = []
    for t in range(12):
        if t % 3 != 2:
            part = simulator.local_states if t % 3 == 0 else simulator.local_states[0, 10:20]
            held += [(part, part.copy()), (simulator.local_rewards, simulator.local_rewards.copy())]
        simulator.step(np.zeros(1, dtype=np.int64), actions)
    for kept, copied in held:
        np.testing.assert_array_equal(kept, copied)


def test_an_array_nobody_holds_is_used_again() -> None:
    recycler = Recycler()
    address = (array := np.empty(1000)).ctypes.data
    recycler.keep(array)
    assert recycler.take((1000,), np.float64).ctypes.data != address  # `array` is still held
    del array
    recycler.keep(np.empty(1000))
    address = recycler._kept[0].ctypes.data
    assert recycler.take((1000,), np.float64).ctypes.data == address
    recycler.keep(np.empty(1000))
    assert recycler.take((999,), np.float64).shape == (999,)
