"""Every example runs, on small sizes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pettingzoo
import pytest

NEEDS = {
    "dqn_and_ppo": ("stable_baselines3",),
    "baselines": ("stable_baselines3", "torchrl"),
    "train_sb3": ("stable_baselines3",),
    "train_torchrl": ("torchrl",),
}
EXAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "examples").glob("*.py")}
SMALL = {
    "dqn_and_ppo": {
        "n_agents": 20,
        "k": 1,
        "dqn_steps": 600,
        "ppo_steps": 600,
        "n_rollouts": 50,
        "max_alternations": 1,
    },
    "baselines": {"quick": True},
    "million_agents": {"n_agents": 30, "k": 1, "sizes": (10, 10**6), "n_rollouts": 20},
    "nash_gap": {"n_zones": 2, "n_agents": 3, "k": 1, "many_agents": 100, "n_rollouts": 20},
    "off_policy_from_logs": {
        "n_agents": 20,
        "k": 2,
        "n_steps": 400,
        "n_passes": 5,
        "n_rollouts": 100,
        "max_alternations": 1,
    },
    "quickstart": {"n_agents": 20, "k": 1, "more_agents": 50, "n_rollouts": 20},
    "sweep_k": {"game": "formation", "ks": (1, 2), "n_agents": 6, "seeds": 1, "n_rollouts": 20, "workers": 1},
    "train_alternating": {"game": "formation", "n_agents": 6, "k": 2, "max_alternations": 2},
    "train_sb3": {"n_agents": 3, "k": 2, "max_cycles": 10, "num_envs": 2, "timesteps": 160, "episodes": 1},
    "train_torchrl": {
        "n_agents": 3,
        "k": 2,
        "max_cycles": 5,
        "n_iterations": 1,
        "episodes_per_batch": 2,
        "episodes": 1,
    },
    "two_types_of_robots": {"n_agents": 20, "k": 1, "n_zones": 3, "moves": 2, "n_rollouts": 50},
    "your_own_game": {"n_agents": 50, "k": 2, "n_rollouts": 200},
}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_small_size_here() -> None:
    assert set(SMALL) == set(EXAMPLES)


@pytest.mark.parametrize("name", SMALL)
def test_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for library in NEEDS.get(name, ()):
        pytest.importorskip(library)
    if name == "quickstart" and not hasattr(pettingzoo, "make"):
        pytest.skip("PettingZoo before 1.27 has no registry")
    monkeypatch.chdir(tmp_path)
    module = load(EXAMPLES[name])
    if hasattr(module, "Config"):
        module.main(module.Config(**SMALL[name]))
    else:
        module.main(**SMALL[name])
    assert capsys.readouterr().out.strip()


def test_the_buses_gather_at_the_dearer_depot() -> None:
    """Any pair that leaves the buses at the cheaper depot earns at most 2 / (1 - 0.9) = 20."""
    path = EXAMPLES["your_own_game"]
    assert load(path).main(n_agents=1000, k=5, n_rollouts=300) > 20
    assert len(path.read_text().splitlines()) <= 30


def test_a_pair_trained_on_an_estimated_game_plays_well_in_the_true_one() -> None:
    """Within 2% of the pair trained on the true tables; the pair both start from earns 113."""
    module = load(EXAMPLES["off_policy_from_logs"])
    estimated, true = module.main(module.Config(n_agents=30, k=2, n_steps=3000, n_passes=1, n_rollouts=500))
    assert estimated > 0.98 * true > 120
