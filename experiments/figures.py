"""Figures of one run, drawn without global matplotlib state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kofn.agents import Proposal
from kofn.envs.model import Game
from kofn.experiments.plots.save import BLUE, GREEN, GREY, ORANGE, VERMILLION, save_figure
from kofn.experiments.trajectory import Trajectory, global_state_is_place

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "VERMILLION", "occupancy_figure", "potential_figure", "save_figure"]

PLAYER_COLOURS = {"global": BLUE, "local": ORANGE}
PLAYER_NAMES = {"global": "global agent", "local": "local agents"}
VERDICT_MARKERS = {"accept": "o", "reject": "x", "overlap": "s"}


def potential_figure(history: Sequence[Proposal], title: str) -> Figure:
    """The potential after every proposal, with each proposal's player and verdict."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    start = history[0].potential
    kept = [start, *(_kept_potential(proposal) for proposal in history)]
    axes.step(range(len(kept)), kept, where="post", color=GREY, label="current pair")
    for proposal in history:
        _draw_proposal(axes, proposal)
    axes.set_xlabel("proposal")
    axes.set_ylabel("potential Φ (discounted return)")
    axes.set_xticks(range(len(kept)))
    axes.set_title(title)
    axes.grid(alpha=0.3)
    _legend_without_repeats(axes)
    return figure


def _kept_potential(proposal: Proposal) -> float:
    return proposal.proposed_potential if proposal.verdict == "accept" else proposal.potential


def _draw_proposal(axes: Axes, proposal: Proposal) -> None:
    """A point at the proposed potential; the bar is the 95% interval of its difference from the current pair."""
    axes.errorbar(
        proposal.step,
        proposal.proposed_potential,
        yerr=1.96 * proposal.standard_error,
        color=PLAYER_COLOURS[proposal.player],
        marker=VERDICT_MARKERS[proposal.verdict],
        markersize=7,
        capsize=3,
        linestyle="none",
        label=f"{PLAYER_NAMES[proposal.player]}: {proposal.verdict}",
    )


def _legend_without_repeats(axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(list(unique.values()), list(unique), fontsize="small", loc="best")


def occupancy_figure(trajectory: Trajectory, game: Game, title: str) -> Figure:
    """Heatmap of the share of agents in each local state over time, with the global agent and the true mode.

    Where global states are places (as in the warehouse), the global agent's place and its choice lie on the heatmap;
    otherwise its state is drawn in a strip below. Compare the paper's Figure 7.
    """
    place = global_state_is_place(game)
    figure = Figure(figsize=(11, 4 if place else 5.5), layout="constrained")
    ratios = [4] if place else [4, 1]
    rows = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    heatmap: Axes = rows[0]
    shares = trajectory.counts / trajectory.counts.sum(axis=1, keepdims=True)
    image = heatmap.imshow(shares.T, aspect="auto", origin="lower", cmap="Greys", vmin=0, interpolation="nearest")
    figure.colorbar(image, ax=heatmap, label="share of local agents", pad=0.01)
    steps = np.arange(len(shares))
    heatmap.scatter(
        steps, trajectory.modes, marker="s", s=22, facecolors="none", edgecolors=VERMILLION, label="true mode"
    )
    if place:
        heatmap.step(steps, trajectory.global_states, where="mid", color=BLUE, label="global agent's state")
        if game.n_global_actions == game.n_local_states:
            heatmap.scatter(
                steps, trajectory.global_actions, marker=".", s=14, color=ORANGE, label="its choice", zorder=3
            )
    else:
        _draw_global_states(rows[1], trajectory, game)
    heatmap.set_yticks(range(game.n_local_states), game.labels.local_states)
    rows[-1].set_xlabel("step")
    heatmap.set_title(title)
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _draw_global_states(axes: Axes, trajectory: Trajectory, game: Game) -> None:
    steps = np.arange(len(trajectory.global_states))
    axes.step(steps, trajectory.global_states, where="mid", color=BLUE, label="global agent's state")
    axes.set_yticks(range(game.n_global_states), game.labels.global_states)
