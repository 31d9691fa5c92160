"""Alternations from several starts: what is kept, what is listed, and a run that is cut short."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, LumpedChain, MultiStart
from kofn.agents.alternation.multi_start import STARTS
from kofn.agents.alternation.setting import Setting
from kofn.agents.starts import chase, focal, heading_to, hysteresis
from kofn.envs import GlobalPolicy, TabularGame
from kofn.envs.warehouse_dispatch import game as warehouse

Games = Callable[..., TabularGame]

EXACT = AlternatingConfig(evaluation="exact")


def exact_potential(game: TabularGame, model: AlternatingMARL | MultiStart, n_agents: int) -> float:
    return LumpedChain.exact(game, model.global_policy, model.local_policy, n_agents).potential


@pytest.fixture(scope="module")
def learned(random_game: Games):
    """(game, model, result) of six random games with four agents of which one or two are seen."""
    runs = []
    for seed in range(6):
        game = random_game(seed, n_local=3 - seed % 2, discount=0.8)
        model = MultiStart(Setting(game=game, n_agents=4, k=1 + seed % 2), EXACT, seed=seed)
        runs.append((game, model, model.learn()))
    return runs


def test_never_below_the_papers_method(learned) -> None:
    """Up to eta: of equally good ends another than the paper's may look best on the selecting rollouts."""
    for game, model, result in learned:
        paper = exact_potential(game, model.models["paper"], 4)
        spread = 4 * max(one.standard_error for one in result.equilibria)
        assert exact_potential(game, model, 4) >= paper - spread


def test_from_the_papers_pair_the_climb_is_monotone(learned) -> None:
    for game, model, _ in learned:
        paper, climbed = (exact_potential(game, model.models[name], 4) for name in ("paper", "from_paper"))
        assert climbed >= paper - 1e-9


def test_every_start_is_listed_and_the_best_is_kept(learned) -> None:
    for _, model, result in learned:
        assert tuple(one.start for one in result.equilibria) == STARTS
        best = max(result.equilibria, key=lambda one: one.potential)
        assert result.best == best.start
        assert np.array_equal(model.global_policy.table, best.global_policy.table)
        names = [one.start for one in result.distinct]
        assert all(one.same_as in names for one in result.equilibria if one.same_as)


def test_strictly_better_than_the_paper_on_a_warehouse_seen_through_one_robot() -> None:
    """Three zones, twelve robots, k = 1, exact: by more than the acceptance threshold of the paper's alternation."""
    game = warehouse(n_zones=3)
    model = MultiStart(Setting(game=game, n_agents=12, k=1), EXACT, seed=0)
    model.learn()
    assert (
        exact_potential(game, model, 12) > exact_potential(game, model.models["paper"], 12) + 0.005 * game.value_bound
    )


def test_a_run_cut_short_goes_on_to_the_same_end(tmp_path: Path, random_game: Games) -> None:
    game = random_game(3, discount=0.8)
    setting = Setting(game=game, n_agents=4, k=2)
    config = AlternatingConfig(n_rollouts=50)
    whole = MultiStart(setting, config, seed=1)
    wanted = whole.learn()
    broken = MultiStart(setting, config, seed=1)
    seen = []

    def stop(proposal) -> None:
        seen.append(proposal)
        broken.save(tmp_path)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken.learn(on_proposal=stop)
    resumed = MultiStart(setting, config, seed=1)
    resumed.resume(tmp_path)
    assert sum(len(model.history) for model in resumed.models.values()) <= 3
    found = resumed.learn()
    assert found.best == wanted.best
    assert [one.potential for one in found.equilibria] == [one.potential for one in wanted.equilibria]
    resumed.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path)
    assert np.array_equal(loaded.global_policy.table, whole.global_policy.table)
    assert (tmp_path / "equilibria.csv").read_text().count("\n") == 1 + len(STARTS)


def test_resuming_with_other_settings_is_refused(tmp_path: Path, random_game: Games) -> None:
    setting = Setting(game=random_game(0), n_agents=4, k=2)
    MultiStart(setting, seed=1).save(tmp_path)
    with pytest.raises(ValueError, match="holds a run with seed="):
        MultiStart(setting, seed=2).resume(tmp_path)


def test_starts_of_the_warehouse(warehouse3: TabularGame) -> None:
    """Robots that chase stay where s_g is; the focal fleet ignores s_g; margins keep the zone, margin 0 is greedy."""
    fleet = chase(warehouse3)
    assert [int(fleet.table[z, z].argmax()) for z in range(3)] == [0, 0, 0]
    convention = focal(warehouse3, 1).table
    assert all(np.array_equal(convention[:, s_g], fleet.table[:, 1]) for s_g in range(3))
    assert np.all(heading_to(warehouse3, 2, 1).table == 1)
    values = np.random.default_rng(0).random((3, 6, 3))
    assert np.array_equal(hysteresis(warehouse3, values, 2, 0.0).table, values.argmax(axis=2))
    assert np.array_equal(hysteresis(warehouse3, values, 2, 2.0).table, GlobalPolicy.named("keep", warehouse3, 2).table)
