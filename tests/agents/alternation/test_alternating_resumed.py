"""An interrupted alternation goes on bit for bit; what is seen of a run while it lasts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quick_alternation import QUICK, Proposes, assert_same, keep_local, lines, meeting_game, model_of

from kofn.agents import AlternatingMARL, GLearner, LLearner, Problem, Proposal
from kofn.envs import TabularGame

Games = Callable[..., TabularGame]


def stop_after(step: int) -> Callable[[Proposal], None]:
    def stop(proposal: Proposal) -> None:
        if proposal.step == step:
            raise KeyboardInterrupt

    return stop


def keep_global(problem: Problem) -> Proposes:
    return Proposes(problem.global_policy)


@pytest.mark.parametrize(("game_seed", "n_rollouts"), [(0, 200), (9, 600)])
def test_interrupted_run_resumes_bit_for_bit(
    random_game: Games, tmp_path: Path, game_seed: int, n_rollouts: int
) -> None:
    """Interrupted after every proposal in turn, saved, loaded, gone on with; also where some verdicts come early."""
    game = meeting_game(random_game, game_seed)
    options: dict[str, Any] = {
        "config": replace(QUICK, n_rollouts=n_rollouts),
        "global_learner": GLearner(operator="monte_carlo", n_samples=20),
        "local_learner": LLearner(operator="monte_carlo", n_samples=20),
        "seed": 7,
    }
    whole = model_of(game, **options)
    result = whole.learn()
    whole.save(tmp_path / "whole")
    assert len(result.history) >= 3
    for step in range(1, len(result.history) + 1):
        model = model_of(game, **options)
        with pytest.raises(KeyboardInterrupt):
            model.learn(on_proposal=stop_after(step))
        assert lines(model.history) == lines(result.history[:step])
        model.save(tmp_path / f"{step}")
        resumed = AlternatingMARL.load(tmp_path / f"{step}")
        assert_same(resumed.learn(), result)
        resumed.save(tmp_path / f"{step}")
        for file in (tmp_path / "whole").iterdir():
            assert (tmp_path / f"{step}" / file.name).read_bytes() == file.read_bytes()
        assert_same(model.learn(), result)  # the interrupted object itself goes on as well


def test_run_without_a_seed_resumes_too(random_game: Games, tmp_path: Path) -> None:
    """The entropy that the operating system gave is stored."""
    model = model_of(random_game(4, discount=0.8), seed=None)
    with pytest.raises(KeyboardInterrupt):
        model.learn(on_proposal=stop_after(1))
    model.save(tmp_path)
    assert_same(AlternatingMARL.load(tmp_path).learn(), model.learn())


def test_learning_again_after_convergence_changes_nothing(random_game: Games) -> None:
    model = model_of(random_game(0, discount=0.8))
    assert_same(model.learn(), model.learn())


def test_on_proposal_sees_every_proposal_as_it_is_recorded(random_game: Games) -> None:
    model = model_of(random_game(5, discount=0.8))
    seen: list[Proposal] = []

    def check(proposal: Proposal) -> None:
        seen.append(proposal)
        assert model.history == tuple(seen)

    result = model.learn(on_proposal=check)
    assert tuple(seen) == result.history


def test_progress_bar_writes_to_stderr_only(random_game: Games, capfd: pytest.CaptureFixture[str]) -> None:
    model_of(random_game(5, discount=0.8)).learn(progress_bar=True)
    assert capfd.readouterr().out == ""


def test_new_learners_are_asked_although_the_old_ones_had_ended(random_game: Games, tmp_path: Path) -> None:
    """Both, also where the model is saved after the first of them; the same learners have nothing to add."""
    game = meeting_game(random_game, 0)
    ended = model_of(game, global_learner=keep_global, local_learner=keep_local)
    old = ended.learn()
    assert old.converged
    ended.save(tmp_path)
    assert_same(AlternatingMARL.load(tmp_path, global_learner=keep_global, local_learner=keep_local).learn(), old)
    more = AlternatingMARL.load(tmp_path, global_learner=GLearner(), local_learner=keep_local)
    assert not more.converged
    whole = AlternatingMARL.load(tmp_path, global_learner=GLearner(), local_learner=LLearner()).learn()
    assert whole.converged
    assert whole.potential > old.potential
    for step in range(len(old.history), len(whole.history)):
        model = AlternatingMARL.load(tmp_path, global_learner=GLearner(), local_learner=LLearner())
        model.learn(until=step)
        model.save(tmp_path / "paused")
        assert_same(AlternatingMARL.load(tmp_path / "paused").learn(), whole)
