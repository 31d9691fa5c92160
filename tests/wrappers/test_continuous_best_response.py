"""Single-agent views of continuous games: what is seen, done and paid under each deviation."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from oracle.two_sides import two_sides

from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.wrappers.continuous_best_response import (
    ContinuousGlobalBestResponse,
    ContinuousLocalBestResponse,
    agents_in_bins,
)
from kofn.wrappers.continuous_vector import N_CELLS, cell_of


class Right:
    """A global agent that stands on the right."""

    k = 1

    def act(self, global_states: Any, *_: Any) -> Any:
        return np.ones(len(global_states), dtype=np.int64)


STAY = Chase(reach=0)
NOTIONS: list[dict[str, Any]] = [
    {"deviation": "tagged", "reward": "own"},
    {"deviation": "tagged", "reward": "team"},
    {"deviation": "shared"},
]


def local(**options: Any) -> ContinuousLocalBestResponse:
    sizes = {"n_agents": 4, "max_cycles": 3}
    return ContinuousLocalBestResponse(
        two_sides(), **{"global_policy": Right(), "local_policy": STAY, **sizes, **options}
    )


@pytest.mark.parametrize("notion", NOTIONS, ids=["own", "team", "shared"])
def test_others_checkers_pass_every_deviation(notion: Any) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    view = gymnasium.make("kofn.envs:kofn/LocalBestResponse-v0", game="cluster_line", n_agents=12, **notion).unwrapped
    check_env(view, skip_render_check=True)
    checker.check_env(view)


def test_the_global_view_sees_k_agents_and_is_paid_the_teams_reward() -> None:
    view = ContinuousGlobalBestResponse(two_sides(), n_agents=4, k=2, local_policy=STAY, max_cycles=2)
    first, infos = view.reset(seed=0)
    assert first[0] == 0.5
    assert sorted(first[1:]) == [0, 1]  # everybody on one side
    assert infos == {}
    side = int(first[2])
    assert view.step(side)[1] == pytest.approx(1 - 0.3)  # s_g = 0.5 still, the old one
    observation, reward, terminated, truncated, infos = view.step(side)
    assert reward == pytest.approx(0.8)
    assert infos == {"reward_global": 0.0, "reward_local_mean": pytest.approx(0.8)}
    assert (terminated, truncated) == (False, True)
    assert observation[0] == side
    assert view.discount == 0.8


def test_the_three_deviations_pay_what_they_say() -> None:
    """Everybody is at 0.2 or 0.8 and s_g = 0.5; changing sides costs 0.1."""
    paid = {}
    for notion in NOTIONS[:2]:
        view = local(**notion)
        observation, infos = view.reset(seed=1)
        assert observation[1] == 0.5
        assert infos == {"others": "keep local_policy", "reward": notion["reward"]}
        paid[notion["reward"]] = view.step(1)[1]
    assert paid == {"own": pytest.approx(0.6), "team": pytest.approx((0.6 + 3 * 0.7) / 4)}
    fleet = local(deviation="shared")
    observation, infos = fleet.reset(seed=1)
    assert observation.tolist() == [0.5]
    assert infos == {"others": "follow the learner", "reward": "team"}
    assert fleet.step(np.ones(N_CELLS, dtype=int))[1] == pytest.approx(0.6)


def test_the_fleets_action_is_one_per_cell() -> None:
    game = two_sides()
    assert cell_of(game, np.float32([0.0, 0.2, 0.5, 0.8, 1.0])).tolist() == [0, 8, 20, 32, 39]
    only_left = np.zeros(N_CELLS, dtype=int)
    only_left[8] = 1
    costs = set()
    for seed in range(6):
        view = local(deviation="shared")
        view.reset(seed=seed)
        costs.add(round(view.step(only_left)[1], 6))
    assert costs == {0.6, 0.7}  # those on the left change sides, those on the right stay


def test_a_picture_marks_the_agents_seen() -> None:
    game, places = two_sides(), np.float32([0.1, 0.9, 0.2, 0.8, 0.3])
    assert agents_in_bins(game, places, np.array([2, 1])).tolist() == [0, 2, 1]
    for view in (
        ContinuousGlobalBestResponse("cluster_line", n_agents=9, k=4, render_mode="ansi"),
        ContinuousLocalBestResponse("cluster_line", n_agents=9, global_policy=Follow(k=4), render_mode="ansi"),
    ):
        view.reset(seed=0)
        assert "sees 4 of 9 agents" in view.render()
        view.step(0)
        assert "sees 4 of 9 agents" in view.render()
        view.close()


def test_rendering_changes_no_episode() -> None:
    def play(*, watch: bool) -> list[Any]:
        view = ContinuousLocalBestResponse("cluster_line", n_agents=9, global_policy=Follow(k=2), render_mode="ansi")
        found: list[Any] = [view.reset(seed=0)]
        for _ in range(5):
            if watch:
                view.render()
            found.append(view.step(1))
        return found

    assert data_equivalence(play(watch=True), play(watch=False), exact=True)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: local(deviation="all"), ValueError, "deviation must be one of 'tagged', 'shared'; got 'all'"),
        (lambda: local(reward="none"), ValueError, "reward must be one of 'team', 'own'; got 'none'"),
        (lambda: local(deviation="shared", reward="own"), ValueError, "it needs deviation='tagged'; got .*'shared'"),
        (lambda: local(k=2), ValueError, "k must be that of global_policy, 1; got 2"),
        (lambda: local(global_policy="keep"), ValueError, "global_policy must be one of 'uniform'; got 'keep'"),
        (lambda: local(local_policy=np.ones(3)), TypeError, r"local_policy must be 'uniform' or have act\(...\)"),
        (lambda: local(render_mode="ascii"), ValueError, "render_mode must be one of"),
        (lambda: local().step(0), RuntimeError, r"call reset\(\) before step\(\)"),
        (lambda: local(deviation="shared").step(np.zeros(N_CELLS, int)), RuntimeError, "call reset"),
        (lambda: local(render_mode="ansi").render(), RuntimeError, "call reset"),
        (lambda: started().step(2), ValueError, "action must be between 0 and 1; got 2"),
        (lambda: started().step(0.5), TypeError, "action must be an integer"),
        (lambda: started(deviation="shared").step(0), ValueError, "one of 2 actions for each of 40 cells; got 0"),
        (lambda: ContinuousGlobalBestResponse("formation"), TypeError, "game must be a ContinuousGame"),
    ],
)
def test_what_is_out_of_range_is_refused(act: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        act()


@pytest.mark.parametrize("notion", NOTIONS, ids=["own", "team", "shared"])
def test_nothing_after_the_end(notion: Any) -> None:
    fleet = notion["deviation"] == "shared"
    play(local(**notion), np.zeros(N_CELLS, dtype=int) if fleet else 0)
    play(ContinuousGlobalBestResponse(two_sides(), n_agents=4, max_cycles=3), 0)


def play(view: Any, action: Any) -> None:
    """To the end, and one step more."""
    view.reset(seed=0)
    assert [view.step(action)[3] for _ in range(3)] == [False, False, True]
    with pytest.raises(RuntimeError, match=r"the episode is over: call reset\(\) before the next step\(\)"):
        view.step(action)
    view.reset()
    assert not view.step(action)[3]


def started(**options: Any) -> ContinuousLocalBestResponse:
    view = local(**options)
    view.reset(seed=0)
    return view
