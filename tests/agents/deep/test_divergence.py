"""Numbers that are not finite end learning with an error that says where; files with code in them are never read."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3.common.base_class as sb3_base
from oracle.two_sides import two_sides

from kofn.agents import AlternatingConfig, AlternatingMARL
from kofn.agents.alternation.learners import Problem
from kofn.agents.deep.best_response import DeepGlobal, DeepLocal
from kofn.agents.deep.networks import FitConfig, fit_labels
from kofn.agents.deep.plug_in import Sb3Learner
from kofn.envs.line_policies import MlpGlobalPolicy, MlpLocalPolicy, uniform_layers
from kofn.envs.parallel import PopulationEnv
from kofn.wrappers import SubsampleObservation
from kofn.wrappers.continuous_vector import ContinuousGlobalVector
from kofn.wrappers.sb3_vec_env import sb3_vec_env

SMALL: dict[str, Any] = {"n_populations": 4, "n_steps": 8}


def problem(player: str) -> Problem:
    rng = np.random.default_rng(0)
    return Problem(
        game=two_sides(),
        n_agents=5,
        k=3,
        global_policy=MlpGlobalPolicy(layers=uniform_layers(3, 2, (4,), rng), k=3),
        local_policy=MlpLocalPolicy(layers=uniform_layers(2, 2, (4,), rng)),
        seed=np.random.SeedSequence(0),
        player=player,  # type: ignore[arg-type]  # one of them
        max_cycles=8,
    )


@pytest.mark.parametrize("algorithm", ["PPO", "A2C", "TRPO"])
def test_weights_that_diverge_are_named(algorithm: str) -> None:
    learner = DeepGlobal(algorithm=algorithm.lower(), learning_rate=1e36, n_updates=3, **SMALL)  # type: ignore[arg-type]
    said = rf"{algorithm} diverged by update \d+: (weights [a-z_.0-9]+ are not finite|train/[a-z_]*loss is (nan|inf));"
    with pytest.raises(ValueError, match=said), np.errstate(all="ignore"):
        learner(problem("global"))


def test_an_algorithm_that_is_plugged_in_is_watched_too() -> None:
    from stable_baselines3 import DQN  # noqa: PLC0415  # slow to import

    options = {"learning_rate": 1e36, "learning_starts": 4, "train_freq": 1, "buffer_size": 20}
    with pytest.raises(ValueError, match=r"DQN diverged by update \d+: weights [a-z_.0-9]+ are not finite"):
        Sb3Learner(DQN, 20, options=options)(problem("global"))


@pytest.mark.parametrize(
    ("start", "entry", "message"),
    [
        (0.0, np.nan, r"observations must be finite; entry \[1, 0\] is nan"),
        (3e38, 1.0, "the loss is nan at gradient step 0; lower the learning_rate"),
    ],
)
def test_supervised_steps_name_what_is_not_finite(start: float, entry: float, message: str) -> None:
    layer = (np.full((2, 2), start, dtype=np.float32), np.zeros(2, dtype=np.float32))
    rows = np.float32([[1.0, 1.0], [entry, 1.0]])
    with pytest.raises(ValueError, match=message), np.errstate(all="ignore"):
        fit_labels((layer,), rows, np.array([0, 1]), FitConfig(n_steps=2), np.random.SeedSequence(0))


class Broken(gymnasium.vector.VectorWrapper):
    """Says nan somewhere."""

    part: int

    def step(self, actions: Any) -> Any:
        found = [np.array(part) if number < 2 else part for number, part in enumerate(self.env.step(actions))]
        found[self.part].reshape(len(found[1]), -1)[1, 0] = np.nan
        return tuple(found)


@pytest.mark.parametrize(
    ("part", "message"), [(0, r"observations must be finite; entry \[1, 0\]"), (1, r"rewards must be finite; .*\[1\]")]
)
def test_environments_that_say_nan_are_named(part: int, message: str) -> None:
    broken = Broken(ContinuousGlobalVector(two_sides(), 3, n_agents=3))
    broken.part = part
    env = sb3_vec_env(broken)
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(np.zeros(3, dtype=int))


def test_files_of_stable_baselines3_are_written_only_when_asked_for_and_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = SubsampleObservation(PopulationEnv(two_sides(), n_agents=5, max_cycles=8, global_view="none"), 3)
    quick = AlternatingConfig(n_rollouts=5, horizon=4, eta=0.5, max_alternations=1)

    def model(zip_folder: str | None) -> AlternatingMARL:
        learners = DeepGlobal(n_updates=1, **SMALL), DeepLocal(n_updates=1, zip_folder=zip_folder, **SMALL)
        return AlternatingMARL(env, quick, global_learner=learners[0], local_learner=learners[1], seed=0)

    plain, asked = model(None), model(str(tmp_path))
    plain.learn()
    plain.save(tmp_path)
    assert not list(tmp_path.glob("*.zip"))
    with pytest.warns(UserWarning, match=r"local\.zip is .* own format, which holds pickled objects: loading .* code"):
        asked.learn()
    asked.save(tmp_path)
    assert [path.name for path in tmp_path.glob("*.zip")] == ["local.zip"]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(sb3_base, "load_from_zip_file", refuse)
    (tmp_path / "local.zip").write_bytes(b"anything")
    loaded = AlternatingMARL.load(tmp_path, game=two_sides())
    assert loaded.local_learner == asked.local_learner
    loaded.learn()
