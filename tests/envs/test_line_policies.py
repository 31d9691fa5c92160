"""Networks as policies of continuous games: what they compute, choose, refuse, and their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kofn.envs.cluster_line import TARGETS, game
from kofn.envs.cluster_line_conventions import Chase, Follow
from kofn.envs.line_policies import (
    Layers,
    MlpGlobalPolicy,
    MlpLocalPolicy,
    UniformLinePolicy,
    choose,
    logits,
    uniform_layers,
)


def layers(n_inputs: int, n_actions: int, seed: int = 0) -> Layers:
    """A small random network."""
    rng = np.random.default_rng(seed)
    return (
        (rng.normal(size=(n_inputs, 4)), rng.normal(size=4)),
        (rng.normal(size=(4, n_actions)), rng.normal(size=n_actions)),
    )


def test_a_network_is_its_formula() -> None:
    (w, b), (v, c) = net = layers(3, 2)
    x = np.array([[0.1, -0.5, 2.0], [1.0, 0.0, 0.3]])
    policy = MlpGlobalPolicy(layers=net, k=4)
    assert logits(policy.layers, x.astype(np.float32)) == pytest.approx(np.tanh(x @ w + b) @ v + c, abs=1e-5)


def test_the_global_network_sees_its_state_and_shares() -> None:
    policy = MlpGlobalPolicy(layers=layers(3, 2), k=4)
    counts, places = np.array([[1, 3], [4, 0]]), np.array([0.5, -1.0], dtype=np.float32)
    assert policy.inputs(places, counts).tolist() == [[0.5, 0.25, 0.75], [-1, 1, 0]]
    blind = MlpGlobalPolicy(layers=layers(2, 2), k=4, sees_global_state=False)
    assert blind.inputs(places, counts).tolist() == [[0.25, 0.75], [1, 0]]
    assert (
        policy.act(places, counts).tolist() == logits(policy.layers, policy.inputs(places, counts)).argmax(1).tolist()
    )


def test_actions_are_drawn_with_the_probabilities_that_logits_stand_for() -> None:
    n = 20_000
    scores = np.broadcast_to(np.log(np.array([0.2, 0.5, 0.3], dtype=np.float32)), (n, 3))
    found = np.bincount(choose(scores, np.random.default_rng(0)), minlength=3) / n
    assert np.abs(found - [0.2, 0.5, 0.3]).max() < 4.5 * np.sqrt(0.25 / n)
    assert choose(np.array([[1.0, 1.0, 0.0]], dtype=np.float32), None).tolist() == [0]


def test_the_local_network_broadcasts() -> None:
    policy = MlpLocalPolicy(layers=layers(2, 3))
    own, shared = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), np.float32([[0.1], [0.2]])
    assert policy.logits(own, shared).shape == (2, 3, 3)
    alone = policy.logits(own[1, 2:], shared[1])
    assert policy.logits(own, shared)[1, 2] == pytest.approx(alone[0], abs=1e-6)


def test_networks_that_start_uniform_choose_uniformly() -> None:
    net = uniform_layers(6, 5, (8, 8), np.random.default_rng(0))
    assert (logits(net, np.ones((3, 6), dtype=np.float32)) == 0).all()
    uniform = UniformLinePolicy(3)
    states = np.zeros((100, 90), dtype=np.float32)
    found = np.bincount(uniform.act(states, states[:, :1], np.random.default_rng(1)).ravel()) / states.size
    assert np.abs(found - 1 / 3).max() < 4.5 * np.sqrt(2 / 9 / states.size)
    assert not uniform.act(states, states[:, :1]).any()


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_files_are_bit_equal_and_the_same_twice(tmp_path: Path, suffix: str) -> None:
    first = MlpGlobalPolicy(layers=layers(5, 5), k=7, sees_global_state=False)
    second = MlpLocalPolicy(layers=layers(2, 3))
    for policy, kind in ((first, MlpGlobalPolicy), (second, MlpLocalPolicy)):
        policy.save(tmp_path / f"a{suffix}")
        policy.save(tmp_path / f"b{suffix}")
        found = kind.load(tmp_path / f"a{suffix}")
        for one, other in zip(policy.layers, found.layers, strict=True):
            assert all((x == y).all() and x.dtype == y.dtype for x, y in zip(one, other, strict=True))
        if suffix == ".safetensors":
            assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    first.save(tmp_path / f"g{suffix}")
    found = MlpGlobalPolicy.load(tmp_path / f"g{suffix}")
    assert (found.k, found.sees_global_state) == (7, False)


def test_other_programs_can_read_the_file(tmp_path: Path) -> None:
    policy = MlpLocalPolicy(layers=layers(2, 3))
    policy.save(tmp_path / "p.safetensors")
    assert (load_file(tmp_path / "p.safetensors")["0.weight"] == policy.layers[0][0]).all()


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    policy = MlpLocalPolicy(layers=layers(2, 3))
    policy.save(tmp_path / "p.safetensors")
    with pytest.raises(ValueError, match="must hold a MlpGlobalPolicy; it holds MlpLocalPolicy"):
        MlpGlobalPolicy.load(tmp_path / "p.safetensors")
    save_file({"x": np.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="must hold a MlpLocalPolicy; it holds something else"):
        MlpLocalPolicy.load(tmp_path / "other.safetensors")
    content = (tmp_path / "p.safetensors").read_bytes()
    (tmp_path / "p.safetensors").write_bytes(content[:40])
    with pytest.raises(ValueError, match=r"p\.safetensors is damaged or not a \.safetensors file"):
        MlpLocalPolicy.load(tmp_path / "p.safetensors")
    with pytest.raises(FileNotFoundError, match="none"):
        MlpLocalPolicy.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="the suffix of a network's file must be one of"):
        policy.save(tmp_path / "p.pt")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MlpLocalPolicy(layers=()), "must have at least one layer; got none"),
        (lambda: MlpLocalPolicy(layers=layers(3, 2)), r"must have the inputs \[s_i, s_g\]; it has 3"),
        (lambda: MlpLocalPolicy(layers=((np.ones((2, 3)), np.ones(2)),)), r"layer 0 .* got shapes \[2, 3\] and \[2\]"),
        (
            lambda: MlpLocalPolicy(layers=(layers(2, 4)[0], (np.ones((3, 2)), np.ones(2)))),
            r"layer 1 of the local policy must be W \[4, m\] and b \[m\]; got shapes \[3, 2\]",
        ),
        (lambda: MlpLocalPolicy(layers=((np.full((2, 2), np.nan), np.ones(2)),)), "layer 0 .* must be finite"),
        (lambda: MlpGlobalPolicy(layers=layers(6, 5), k=0), "k must be at least 1; got 0"),
        (lambda: MlpGlobalPolicy(layers=layers(6, 4), k=2).check_fits(game()), r"\(bins, \|A_g\|\) = \(5, 5\)"),
        (lambda: MlpGlobalPolicy(layers=layers(6, 5), k=9).check_fits(game(), 5), "k=9 agents, more than n_agents=5"),
        (lambda: MlpLocalPolicy(layers=layers(2, 2)).check_fits(game()), r"\|A_l\| = 3; it has 2"),
        (
            lambda: MlpGlobalPolicy(layers=layers(3, 2), k=4).act(np.zeros(1, dtype=np.float32), np.array([[1, 1]])),
            r"counts must be of k=4 agents in 2 bins; got \[\[1, 1\]\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_conventions_of_the_cluster_line() -> None:
    chase = Chase(dead_band=0.1, reach=2.0)
    assert chase.act(np.float32([-1, 0.05, 1, 3.5]), np.float32([0.0])).tolist() == [1, 0, 2, 0]
    places, counts = TARGETS[[0, 0, 4]], np.array([[2, 0, 0, 3, 0], [1, 0, 0, 4, 0], [5, 0, 0, 0, 0]])
    assert Follow(k=5).act(places, counts).tolist() == [3, 3, 0]
    assert Follow(k=5, margin=0.4).act(places, counts).tolist() == [0, 3, 0]
    assert Follow(k=5, margin=1.0, inner_only=True).act(places, counts).tolist() == [1, 1, 3]
    settled = Follow(k=5, margin=1.0, settled=0.2)  # it stays at a target and follows its sample elsewhere
    assert settled.act(places, counts).tolist() == [0, 0, 4]
    assert settled.act(places + np.float32([0.1, 0.3, -0.3]), counts).tolist() == [0, 3, 0]
