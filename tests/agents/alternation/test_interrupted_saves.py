"""A process that dies between any two files of a save leaves a folder that loads, or one in which nothing was begun."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, MultiStart
from kofn.envs import LocalPolicy, PopulationEnv, TabularGame, files
from kofn.wrappers import SubsampleObservation

Save = Callable[[], None]


class DeathError(BaseException):
    """The process ends here."""


@contextmanager
def dying_after(n_files: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever writes file number `n_files` + 1 dies."""
    left, write = n_files, files.write_atomically

    def counted(path: Any, content: Any) -> None:
        nonlocal left
        if left == 0:
            raise DeathError
        left -= 1
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomically", counted)
        patch.setattr(files.os, "fsync", lambda _: None)  # the machine stays up
        yield


def moments(save: Save, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Save until it lasts, dying one file later each time."""
    for n_files in range(100):
        try:
            with dying_after(n_files, monkeypatch):
                save()
        except DeathError:
            yield n_files
        else:
            return
    raise AssertionError("a save writes fewer than 100 files")


@pytest.fixture(scope="module")
def env(random_game: Callable[..., TabularGame]) -> SubsampleObservation:
    return SubsampleObservation(PopulationEnv(random_game(3, discount=0.5), n_agents=4, max_cycles=5), k=1)


CONFIG = AlternatingConfig(evaluation="exact", eta=1e-3, max_alternations=1)


def test_a_first_save_is_whole_or_not_begun(
    env: SubsampleObservation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = AlternatingMARL(env, CONFIG, seed=0)
    seen = [(tmp_path / "config.json").exists() for _ in moments(lambda: model.save(tmp_path), monkeypatch)]
    assert seen == [False] * 5  # game, history, two policies; config.json itself
    assert AlternatingMARL.load(tmp_path).history == ()


def test_a_later_save_keeps_the_old_pair_or_has_the_new(
    env: SubsampleObservation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = AlternatingMARL(env, CONFIG, seed=0)
    model.save(tmp_path)
    model.learn()
    assert len(model.history) == 2
    first = model.history[:1]
    once = AlternatingMARL(env, CONFIG, seed=0)
    once.learn(on_proposal=lambda _: once.save(tmp_path) if len(once.history) == 1 else None)
    for _ in moments(lambda: model.save(tmp_path), monkeypatch):
        assert AlternatingMARL.load(tmp_path).history in (first, model.history)
    assert AlternatingMARL.load(tmp_path).history == model.history


def test_exchanging_the_best_of_several_starts(
    env: SubsampleObservation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs, histories and seeds of the starts differ: half of one and half of another would be nobody's."""
    model = MultiStart(env, CONFIG, seed=0)
    model.learn()
    assert len({start.description()["start_pair"] for start in model.models.values()}) > 2
    histories = {name: start.history for name, start in model.models.items()}
    for old, new in (("paper", "chase"), ("chase", "focal_0"), ("focal_0", "paper")):
        model.best = model.models[old]
        model.save(tmp_path)
        model.best = model.models[new]
        for _ in moments(lambda: model.save(tmp_path), monkeypatch):
            assert AlternatingMARL.load(tmp_path).history in (histories[old], histories[new])
        assert AlternatingMARL.load(tmp_path).history == histories[new]


def test_policies_of_no_start_are_refused(env: SubsampleObservation, tmp_path: Path) -> None:
    model = MultiStart(env, CONFIG, seed=0)
    model.learn()
    model.save(tmp_path)
    never_learnt = LocalPolicy(np.full((2, 2, 2), [0.3, 0.7]))
    never_learnt.save(tmp_path / "local_policy.npz")
    for start in (tmp_path / "starts").glob("*/config.json"):
        start.unlink()
    with pytest.raises(ValueError, match=r"are not those of its history\.csv"):
        AlternatingMARL.load(tmp_path)
