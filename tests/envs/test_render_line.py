"""Frames of a population on a line: what the text counts, what changes the picture, and what does not."""

import copy
import pickle
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest

from kofn.envs.cluster_line import parallel_env
from kofn.envs.picture_canvas import BLUE, ORANGE, YELLOW
from kofn.envs.render_line import LineRenderer, LineScene
from kofn.wrappers import SubsampleObservation


def make_scene(**changes: Any) -> LineScene:
    scene = LineScene(
        title="trams",
        bin_edges=(-1.0, 0.0, 1.0, 2.0),
        landmarks=(-0.5, 0.5, 1.5),
        global_bounds=(-1.0, 2.0),
        global_state=0.25,
        local_states=np.array([-0.5] * 3 + [0.5] * 6 + [1.75], dtype=np.float32),
        sampled=np.array([0.5, 1.75], dtype=np.float32),
        timestep=7,
    )
    return replace(scene, **changes)


def image_of(scene: LineScene) -> Any:
    return LineRenderer(4).render(scene, "rgb_array")


def text_of(scene: LineScene) -> str:
    return str(LineRenderer(4).render(scene, "ansi"))


def pixels(image: Any, colour: str) -> int:
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((image == rgb).all(axis=-1).sum())


def test_text_counts_bins_and_names_the_global_agent() -> None:
    lines = text_of(make_scene()).splitlines()
    assert lines[0].startswith("trams | step 7 |")
    assert lines[1] == "the global agent sees 2 of 10 agents"
    rows = [line.split() for line in lines[3:7]]
    assert rows[0][:5] == ["-1", "to", "0", "3", "0"]
    assert rows[1][:6] == [">", "0", "to", "1", "6", "1"]
    assert rows[2][:5] == ["1", "to", "2", "1", "1"]
    assert rows[3] == ["all", "10", "2"]
    assert lines[-1] == "global state: 0.250"
    assert "sees all 10 agents" in text_of(make_scene(sampled=None))


@pytest.mark.parametrize(("global_state", "row"), [(-3.0, 0), (0.99, 1), (2.5, 2)])
def test_a_global_agent_outside_the_bins_stands_in_the_nearest(global_state: float, row: int) -> None:
    scene = make_scene(global_bounds=(-3.0, 3.0), global_state=global_state)
    assert scene.binned().global_state == row
    assert scene.span == (-3.0, 3.0)


def test_picture_shows_agents_sample_and_global_agent() -> None:
    image = image_of(make_scene())
    assert (image.shape, image.dtype) == ((544, 960, 3), np.uint8)
    assert min(pixels(image, colour) for colour in (BLUE, ORANGE, YELLOW)) > 100
    legend_apart = image[:480]
    assert pixels(image_of(make_scene(sampled=None))[:480], ORANGE) == 0
    assert pixels(legend_apart, ORANGE) > 100


@pytest.mark.parametrize(
    "changes",
    [
        {"global_state": 0.5},
        {"timestep": 8},
        {"title": "buses"},
        {"landmarks": (-0.5,)},
        {"sampled": np.array([0.5, -0.5], dtype=np.float32)},
        {"sampled": None},
        {"local_states": np.array([-0.5] * 4 + [0.5] * 5 + [1.75], dtype=np.float32)},
    ],
)
def test_every_part_of_the_scene_is_drawn(changes: dict[str, Any]) -> None:
    assert not np.array_equal(image_of(make_scene()), image_of(make_scene(**changes)))


def test_places_are_to_scale() -> None:
    """The global agent's disc moves by the drawn width of the line times its share of the span."""
    columns = [
        np.flatnonzero((image_of(make_scene(global_state=s, sampled=None))[:480] == [248, 241, 160]).all(-1).any(0))
        for s in (-0.5, 1.5)
    ]
    centres = [(c.min() + c.max()) / 2 for c in columns]
    assert centres[1] - centres[0] == pytest.approx(0.9 * 960 * 2 / 3, abs=2)
    assert centres[0] == pytest.approx(960 * (0.05 + 0.9 * 0.5 / 3), abs=2)


def test_settings_of_matplotlib_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = image_of(make_scene())
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 40)
    monkeypatch.setitem(matplotlib.rcParams, "figure.facecolor", "red")
    np.testing.assert_array_equal(image_of(make_scene()), expected)
    assert matplotlib.rcParams["font.size"] == 40


def test_no_mode_and_unknown_modes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pass render_mode=\.\.\. to the environment's constructor"):
        LineRenderer(4).render(make_scene(), None)
    unknown: Any = "rgb"
    with pytest.raises(ValueError, match="must be one of 'human', 'rgb_array', 'ansi'; got 'rgb'"):
        LineRenderer(4).render(make_scene(), unknown)


def test_window_shows_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    renderer = LineRenderer(1000)
    assert renderer.render(make_scene(), "human") is None
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, image_of(make_scene()))
    assert pygame.display.get_caption()[0] == "trams"
    for twin in (copy.deepcopy(renderer), pickle.loads(pickle.dumps(renderer))):
        twin.close()
        assert pygame.display.get_init()
    renderer.close()
    assert not pygame.display.get_init()


def test_environments_draw_their_population_and_sample() -> None:
    env = SubsampleObservation(parallel_env(n_agents=40, render_mode="ansi"), 5)
    _, infos = env.reset(seed=0)
    simulator: Any = env.population.simulator
    scene = env.population.scene(infos["global_0"]["sampled_agents"])
    assert scene.local_states.tolist() == simulator.local_states[0].tolist()
    assert scene.sampled.tolist() == simulator.local_states[0, infos["global_0"]["sampled_agents"]].tolist()
    assert scene.landmarks == pytest.approx((-1.6, -0.8, 0, 0.8, 1.6))
    assert env.render() == text_of(scene)
    assert "the global agent sees 5 of 40 agents" in env.render()
    assert "the global agent sees all 40 agents" in env.unwrapped.render()
