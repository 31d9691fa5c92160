"""Frames: what they show, that they are functions of the scene, and that a renderer can be copied and closed."""

import copy
import pickle
import sys
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
from frames import image_of, text_of

from kofn.envs.game import Labels
from kofn.envs.picture import HEIGHT, WIDTH, dot_unit, shorten, text_width
from kofn.envs.render import MODES, Renderer, Scene

PLACES = ("north hall", "east hall", "south hall")


def make_scene(
    counts: tuple[int, ...] = (6, 3, 1), sampled: tuple[int, ...] | None = (2, 1, 0), **changes: Any
) -> Scene:
    """A dispatcher on a map of halls; `global_states` replaces the map."""
    names = PLACES if len(counts) == len(PLACES) else tuple(f"zone {z}" for z in range(len(counts)))
    labels = Labels(
        title="robot halls",
        global_states=changes.pop("global_states", names),
        local_states=names,
        global_actions=("go",),
        local_actions=("stay",),
    )
    seen = None if sampled is None else np.array(sampled, dtype=np.int64)
    scene = Scene(labels=labels, global_state=1, counts=np.array(counts, dtype=np.int64), sampled=seen, timestep=7)
    return replace(scene, **changes)


@pytest.fixture
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.parametrize("n_zones", [1, 2, 5, 20, 21, 150])
@pytest.mark.parametrize("n_agents", [5, 1000, 10**18])
def test_image_has_one_shape_for_every_game(n_zones: int, n_agents: int) -> None:
    counts = np.zeros(n_zones, dtype=np.int64)
    counts[-1] = n_agents
    scene = replace(make_scene(counts=(0,) * n_zones, sampled=None, global_state=0), counts=counts)
    for sampled in (None, counts, counts // 3):
        image = image_of(replace(scene, sampled=sampled))
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert image.dtype == np.uint8


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_frames_are_functions_of_the_scene(mode: Any) -> None:
    renderer = Renderer(4)
    first = renderer.render(make_scene(), mode)
    renderer.render(make_scene(global_state=0), mode)
    np.testing.assert_array_equal(renderer.render(make_scene(), mode), first)
    np.testing.assert_array_equal(Renderer(30).render(make_scene(), mode), first)


@pytest.mark.parametrize(
    "other",
    [
        make_scene(global_state=2),
        make_scene(counts=(5, 4, 1)),
        make_scene(sampled=(1, 2, 0)),
        make_scene(sampled=None),
        make_scene(timestep=8),
        make_scene(global_states=("calm", "busy")),
    ],
    ids=["dispatcher", "counts", "sampled", "all seen", "timestep", "no map"],
)
def test_another_scene_gives_another_frame(other: Scene) -> None:
    assert (image_of(other) != image_of(make_scene())).any()
    assert text_of(other) != text_of(make_scene())


@pytest.mark.parametrize("scene", [make_scene(), make_scene(sampled=(0, 0, 0)), make_scene(global_states=("g0", "g1"))])
def test_orange_and_yellow_mean_sampled_and_dispatcher(scene: Scene) -> None:
    colours = {tuple(colour) for colour in image_of(scene).reshape(-1, 3)}
    assert scene.sampled is not None
    assert (0x00, 0x72, 0xB2) in colours
    assert (0xE6, 0x9F, 0x00) in colours
    assert ((0xF8, 0xF1, 0xA0) in colours) == (scene.dispatcher_zone is not None)


def test_no_orange_when_the_global_agent_sees_everybody() -> None:
    assert not (image_of(make_scene(sampled=None)) == (0xE6, 0x9F, 0x00)).all(axis=-1).any()


@pytest.mark.parametrize("n_zones", [1, 2, 5, 12, 20, 40])
def test_long_names_stay_inside_the_picture(n_zones: int) -> None:
    names = tuple(f"Wide Warehouse Without Windows, World Wing, zone {z}" for z in range(n_zones))
    scene = make_scene(counts=(10**8,) * n_zones, sampled=(10**7,) * n_zones, global_state=n_zones - 1)
    labels = replace(scene.labels, title="W" * 300, global_states=names, local_states=names)
    image = image_of(replace(scene, labels=labels))
    edge = 8
    image[edge:-edge, edge:-edge] = 255
    assert (image == 255).all()


def test_names_are_written_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("$x^2", "a\nb", "")
    labels = replace(make_scene().labels, title="100 $ or $\\alpha", global_states=names, local_states=names)
    scene = make_scene(labels=labels, global_state=2)
    expected = image_of(scene)
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 40)
    monkeypatch.setitem(matplotlib.rcParams, "figure.facecolor", "red")
    np.testing.assert_array_equal(image_of(scene), expected)


def test_shorten_keeps_both_ends() -> None:
    name = "the warehouse by the old harbour, zone 17"
    short = shorten(name, 10, "bold", 150)
    assert text_width(short, 10, "bold") <= 150
    assert short.startswith("the war")
    assert short.endswith("zone 17")
    assert shorten(name, 10, "bold", 1000) == name


@pytest.mark.parametrize(
    ("n_agents", "unit"), [(0, 1), (1, 1), (60, 1), (61, 2), (1000, 17), (6000, 100), (10**9, 17_000_000)]
)
def test_dot_unit(n_agents: int, unit: int) -> None:
    assert dot_unit(n_agents, 60) == unit


def test_text_names_and_counts_everything() -> None:
    lines = text_of(make_scene(counts=(6000, 3, 0), sampled=(2, 1, 0))).splitlines()
    assert lines[0] == "robot halls | step 7 | dispatcher at: east hall"
    assert lines[1] == "the global agent sees 3 of 6,003 agents"
    assert lines[2].split() == ["local", "state", "agents", "sampled"]
    assert lines[3].split() == ["north", "hall", "6,000", "2", "#" * 40]
    assert lines[4].split() == [">", "east", "hall", "3", "1", "#"]
    assert lines[5].split() == ["south", "hall", "0", "0"]
    assert lines[6].split() == ["all", "6,003", "3"]
    assert len(lines) == 7


def test_text_without_sample_or_map() -> None:
    text = text_of(make_scene(sampled=None, global_states=("calm", "busy")))
    assert "global state: busy" in text
    assert "sees all 10 agents" in text
    assert "sampled" not in text
    assert ">" not in text


@pytest.mark.usefixtures("headless")
def test_window_shows_the_image() -> None:
    import pygame  # noqa: PLC0415 - after the driver is chosen

    renderer = Renderer(1000)
    assert renderer.render(make_scene(global_state=0), "human") is None
    assert renderer.render(make_scene(), "human") is None
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, image_of(make_scene()))
    assert pygame.display.get_caption()[0] == "robot halls"
    renderer.close()
    renderer.close()
    assert not pygame.display.get_init()


@pytest.mark.usefixtures("headless")
def test_window_reopens_and_is_shared() -> None:
    first, second = Renderer(1000), Renderer(1000)
    for renderer in (first, second, first):
        renderer.render(make_scene(), "human")
    first.close()
    second.render(make_scene(), "human")
    second.close()
    first.render(make_scene(), "human")
    first.close()


@pytest.mark.usefixtures("headless")
def test_window_waits_for_the_next_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    import pygame  # noqa: PLC0415 - after the driver is chosen

    ticks = []

    class Clock:
        def tick(self, fps: int) -> None:
            ticks.append(fps)

    monkeypatch.setattr(pygame.time, "Clock", Clock)
    renderer = Renderer(30)
    renderer.render(make_scene(), "human")
    renderer.close()
    assert ticks == [30]


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("mode", [None, *MODES])
def test_copies_leave_the_window_behind(duplicate: Any, mode: Any) -> None:
    import pygame  # noqa: PLC0415 - after the driver is chosen

    renderer = Renderer(1000)
    if mode is not None:
        renderer.render(make_scene(), mode)
    twin = duplicate(renderer)
    twin.close()
    assert pygame.display.get_init() == (mode == "human")
    np.testing.assert_array_equal(twin.render(make_scene(), "rgb_array"), image_of(make_scene()))
    renderer.close()


def test_close_before_rendering() -> None:
    Renderer(4).close()


def test_no_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pass render_mode=\.\.\. to the environment's constructor"):
        Renderer(4).render(make_scene(), None)


def test_unknown_mode_is_refused() -> None:
    unknown: Any = "rgb"
    with pytest.raises(ValueError, match="must be one of 'human', 'rgb_array', 'ansi'; got 'rgb'"):
        Renderer(4).render(make_scene(), unknown)


def test_missing_pygame_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(ImportError, match=r'pip install "kofn\[render\]"'):
        Renderer(4).render(make_scene(), "human")


def test_frame_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="fps must be at least 1; got 0"):
        Renderer(0)
