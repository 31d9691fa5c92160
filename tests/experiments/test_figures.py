"""Figures: they show the data they are given, and the same data give the same bytes."""

import numpy as np
import pytest
from matplotlib.image import imread

from kofn.agents import Proposal
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.experiments.figures import occupancy_figure, potential_figure, save_figure
from kofn.experiments.trajectory import Trajectory, global_state_is_place, record_rollout, trajectory_csv


def proposal(step, player, before, after, verdict):
    return Proposal(
        step=step,
        player=player,
        potential=before,
        proposed_potential=after,
        standard_error=0.1,
        verdict=verdict,
        learner_iterations=1,
        learner_converged=True,
        learner_certificate=0.0,
        kept_pair="",
    )


HISTORY = (
    proposal(1, "global", 10.0, 12.0, "accept"),
    proposal(2, "local", 12.0, 11.0, "reject"),
    proposal(3, "global", 12.0, 12.1, "overlap"),
)


def test_potential_figure_draws_the_kept_potential_and_every_proposal():
    axes = potential_figure(HISTORY, "a title").axes[0]
    line = next(line for line in axes.get_lines() if line.get_label() == "current pair")
    assert list(line.get_ydata()) == [10.0, 12.0, 12.0, 12.0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [label.rsplit(": ")[-1] for label in labels[1:]] == ["accept", "reject", "overlap"]
    assert axes.get_title() == "a title"
    assert axes.get_xlabel()
    assert axes.get_ylabel()


@pytest.fixture
def trajectory(warehouse3):
    keep, uniform = GlobalPolicy.named("keep", warehouse3, 2), LocalPolicy.named("uniform", warehouse3)
    return record_rollout(warehouse3, keep, uniform, 50, horizon=12, seed=4)


def test_a_recorded_rollout_is_the_simulated_one(warehouse3, trajectory):
    assert trajectory.counts.shape == (12, 3)
    assert (trajectory.counts.sum(axis=1) == 50).all()
    assert (trajectory.global_actions == trajectory.global_states).all()  # keep asks for its own zone
    assert (trajectory.modes == trajectory.counts.argmax(axis=1)).all()
    keep, uniform = GlobalPolicy.named("keep", warehouse3, 2), LocalPolicy.named("uniform", warehouse3)
    again = record_rollout(warehouse3, keep, uniform, 50, horizon=12, seed=4)
    assert (again.counts == trajectory.counts).all()


def test_occupancy_figure_shows_shares_mode_and_the_global_agent(warehouse3, trajectory):
    figure = occupancy_figure(trajectory, warehouse3, "t")
    image = figure.axes[0].get_images()[0].get_array()
    assert np.allclose(image, trajectory.counts.T / 50)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert labels == {"true mode", "global agent's state", "its choice"}


def test_a_game_without_places_gets_a_strip_for_the_global_state(random_game):
    game = random_game(0, n_global=3, n_local=2)
    assert not global_state_is_place(game)
    data = Trajectory(
        global_states=np.array([0, 2, 1]), global_actions=np.array([0, 1, 0]), counts=np.array([[3, 1], [2, 2], [0, 4]])
    )
    figure = occupancy_figure(data, game, "t")
    strips = [axes for axes in figure.axes if axes.get_lines()]
    assert [list(line.get_ydata()) for axes in strips for line in axes.get_lines()] == [[0, 2, 1]]


def test_trajectory_csv_has_one_line_per_step(warehouse3, trajectory):
    lines = trajectory_csv(trajectory, warehouse3).splitlines()
    assert lines[0] == "step,global_state,global_action,mode,zone 0,zone 1,zone 2"
    assert len(lines) == 13
    assert [int(cell) for cell in lines[5].split(",")[4:]] == trajectory.counts[4].tolist()


def test_the_same_figure_has_the_same_bytes_and_is_not_blank(tmp_path, warehouse3, trajectory):
    for name in ("a.png", "b.png"):
        save_figure(occupancy_figure(trajectory, warehouse3, "t"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.unique(imread(tmp_path / "a.png").reshape(-1, 4), axis=0).shape[0] > 10
