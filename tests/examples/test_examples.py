"""Every example runs, on small sizes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "examples").glob("*.py")}
SMALL = {
    "learn_from_logs": {
        "n_agents": 20,
        "k": 2,
        "n_steps": 400,
        "n_passes": 5,
        "n_rollouts": 100,
        "max_alternations": 1,
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
    monkeypatch.chdir(tmp_path)
    module = load(EXAMPLES[name])
    module.main(module.Config(**SMALL[name]))
    assert capsys.readouterr().out.strip()


def test_the_buses_gather_at_the_dearer_depot() -> None:
    """Any pair that leaves the buses at the cheaper depot earns at most 2 / (1 - 0.9) = 20."""
    module = load(EXAMPLES["your_own_game"])
    assert module.main(module.Config(n_agents=1000, k=5, n_rollouts=300)) > 20


def test_a_pair_trained_on_an_estimated_game_plays_well_in_the_true_one() -> None:
    """Within 2% of the pair trained on the true tables; the pair both start from earns 113."""
    module = load(EXAMPLES["learn_from_logs"])
    estimated, true = module.main(module.Config(n_agents=30, k=2, n_steps=3000, n_passes=1, n_rollouts=500))
    assert estimated > 0.98 * true > 120
