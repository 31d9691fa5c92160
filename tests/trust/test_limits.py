"""What cannot fit (200 agents over 10 states) is refused at once, with the size it needs and what to use instead."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kofn import agents
from kofn.agents import LumpedChain
from kofn.envs import GlobalPolicy, LocalPolicy, PopulationEnv, TabularGame
from kofn.experiments.cli import main
from kofn.wrappers import HistogramChain, ReplicaChain, SubsampleObservation

K, STATES = 200, 10
SIZE = r"\d{3,}|\de\+\d+|10\^\d+|too many|[GTPEZ]iB"
INSTEAD = r"use |lower k|smaller|fewer|instead|estimate|at most|obs_mode|n_agents|monte_carlo"

Call = Callable[[TabularGame, GlobalPolicy, LocalPolicy], Any]

TABLES: dict[str, Call] = {
    "g_learn": lambda game, _, pi_l: agents.g_learn(game, pi_l, k=K),
    "g_learn, exact": lambda game, _, pi_l: agents.g_learn(game, pi_l, k=K, operator="exact"),
    "g_learn, sampled": lambda game, _, pi_l: agents.g_learn(game, pi_l, k=K, operator="monte_carlo", seed=0),
    "g_learn, tuples": lambda game, _, pi_l: agents.g_learn(game, pi_l, k=K, parameterisation="tuple"),
    "g_learn, rounded": lambda game, _, pi_l: agents.g_learn(game, pi_l, k=K, operator="rounded"),
    "l_learn": lambda game, pi_g, _: agents.l_learn(game, pi_g, n_agents=K),
    "l_learn, coordinates": lambda game, pi_g, _: agents.l_learn(game, pi_g, method="shared_coord", n_agents=K),
    "l_learn, sampled": lambda game, pi_g, _: agents.l_learn(game, pi_g, operator="monte_carlo", n_agents=K, seed=0),
    "l_learn, tagged": lambda game, pi_g, _: agents.l_learn(game, pi_g, method="tagged", n_agents=K),
    "l_learn, chain": lambda game, pi_g, _: agents.l_learn(game, pi_g, method="chain_plan", n_agents=K),
    "l_learn, ucfh": lambda game, pi_g, _: agents.l_learn(game, pi_g, method="ucfh", n_agents=K, seed=0),
    "observation_aware, exact": lambda game, _, pi_l: agents.observation_aware(
        game, pi_l, n_agents=1000, k=1, method="exact", surrogate_size=K, seed=0
    ),
    "subsample_mfq": lambda game, _, __: agents.subsample_mfq(game, k=K, seed=0),
    "mean_field_value_iteration": lambda game, _, __: agents.mean_field_value_iteration(game, K),
    "LumpedChain": lambda game, pi_g, pi_l: LumpedChain.exact(game, pi_g, pi_l, K),
    "nash_gap": lambda game, pi_g, pi_l: agents.nash_gap(game, pi_g, pi_l, n_agents=K, seed=0),
    "HistogramChain": lambda game, pi_g, _: HistogramChain(game, global_policy=pi_g, n_agents=K).mdp,
    "ReplicaChain": lambda game, pi_g, _: ReplicaChain(game, global_policy=pi_g, n_replicas=K).mdp,
    "a policy": lambda game, _, __: GlobalPolicy.named("keep", game, K),
    "features": lambda game, _, __: agents.IndicatorFeatures.of(game, K),
    "an environment": lambda game, _, __: SubsampleObservation(
        PopulationEnv(game, 1000, obs_mode="discrete"), k=K
    ).observation_space("global_0"),
}


@pytest.fixture(scope="module")
def large(random_game: Callable[..., TabularGame]) -> tuple[TabularGame, GlobalPolicy, LocalPolicy]:
    """A game of ten local states, with a pair of policies."""
    game = random_game(9, n_local=STATES)
    return game, GlobalPolicy.named("keep", game, 1), LocalPolicy.named("uniform", game)


@pytest.mark.parametrize("name", TABLES)
def test_two_hundred_agents_over_ten_states_are_refused(
    large: tuple[TabularGame, GlobalPolicy, LocalPolicy], name: str
) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=SIZE) as refusal:
        TABLES[name](*large)
    assert time.process_time() - began < 5
    refusal.match(INSTEAD)


def test_a_file_that_claims_as_much_is_refused(tmp_path: Path) -> None:
    content = {"kind": "GlobalPolicy", "format_version": 1, "k": K, "n_local_states": STATES, "n_actions": 2}
    (tmp_path / "policy.json").write_text(json.dumps({**content, "table": [[0]]}))
    with pytest.raises(ValueError, match=r"policy\.json is damaged: an action table must have shape .*\d{10}"):
        GlobalPolicy.load(tmp_path / "policy.json")


@pytest.mark.parametrize(
    "options",
    [
        ["--learner", "paper", "--k", "200"],
        ["--learner", "paper", "--k", "200", "--global-learner.operator", "exact"],
        ["--learner", "paper", "--k", "100", "--global-learner.operator", "exact"],
        ["--learner", "mean_field", "--k", "400"],
        ["--k", "400"],
        ["--learner", "paper", "--k", "5", "--local-learner.n-agents", "400"],
    ],
)
def test_the_command_line_refuses_before_it_begins(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator or a table that cannot fit: exit status 2, the size and the way out on stderr, nothing on disk."""
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    assert main(["train", "warehouse_dispatch", *options]) == 2
    assert time.process_time() - began < 5
    said = capsys.readouterr().err
    assert np.any([word in said for word in ("use ", "smaller", "fewer")]), said
    assert any(character.isdigit() for character in said)
    assert not list(tmp_path.iterdir())
