"""Rollouts of continuous games against returns known in closed form, and their random numbers."""

from typing import Any

import numpy as np
import pytest
from oracle.two_sides import sides_value, two_sides

from kofn.agents.line_evaluation import evaluate_line
from kofn.envs.cluster_line import game
from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.envs.line_policies import UniformLinePolicy


class Always:
    """A global agent with one action."""

    def __init__(self, action: int, k: int = 1) -> None:
        self.action, self.k = action, k

    def act(self, global_states: Any, *_: Any) -> Any:
        return np.full(len(global_states), self.action)


def test_return_is_the_closed_form() -> None:
    """Robots stay, the beacon stands on the right: each episode returns one of two numbers."""
    found = evaluate_line(two_sides(), Always(1), UniformLinePolicy(2), 3, horizon=6, n_rollouts=400, seed=0)
    values = [sides_value(share, 6) for share in (0.0, 1.0)]
    assert set(np.round(found.returns, 5)) == set(np.round(values, 5))
    assert abs(found.mean - sides_value(0.5, 6)) < 4.5 * found.standard_error


def test_equal_seeds_give_common_random_numbers_and_others_do_not() -> None:
    sizes: dict[str, Any] = {"horizon": 10, "n_rollouts": 40}
    one, again, other = (evaluate_line(game(), Follow(k=5), Chase(), 50, seed=s, **sizes) for s in (3, 3, 4))
    assert (one.returns == again.returns).all()
    assert not (one.returns == other.returns).any()
    wider = evaluate_line(game(), Follow(k=5), Chase(dead_band=0.12), 50, seed=3, **sizes)
    assert np.std(wider.returns - one.returns) < np.std(one.returns) / 3


def test_any_number_of_agents_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kofn.agents.line_evaluation.MAX_INDIVIDUALS", 30)
    found = evaluate_line(two_sides(), Always(0, k=10), UniformLinePolicy(2), 10, horizon=2, n_rollouts=7, seed=0)
    assert (found.n_rollouts, found.k, found.n_agents) == (7, 10, 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_agents": 0}, "n_agents must be between 1 and 1000000000000; got 0"),
        ({"n_agents": 4}, "k must be between 1 and 4; got 5"),
        ({"horizon": 0}, "horizon must be at least 1; got 0"),
        ({"n_rollouts": 0}, "n_rollouts must be at least 1; got 0"),
        ({"seed": -1}, "seed must be a nonnegative integer"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    arguments = {"n_agents": 10, **options}
    with pytest.raises(ValueError, match=message):
        evaluate_line(game(), Follow(k=5), Chase(), **arguments)
