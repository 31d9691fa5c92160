"""L-LEARN's chains counted by walking through them, and the formulas for horizons and episodes."""

import math
from collections.abc import Callable, Iterator

import pytest

from kofn.agents.bounds import (
    GameSizes,
    chain_size,
    cheapest_chain,
    local_response_episodes,
    theorem_4_6,
    truncation_error,
    ucfh_episodes,
)
from kofn.agents.bounds.local_response import Chain

State = tuple[object, ...]
Counts = tuple[int, ...]


def make_sizes(n_global: int, n_local: int) -> GameSizes:
    return GameSizes(
        n_global_states=n_global,
        n_global_actions=2,
        n_local_states=n_local,
        n_local_actions=2,
        global_reward_bound=1.0,
        local_reward_bound=1.0,
        discount=0.5,
    )


def landings(n: int, n_local: int) -> Iterator[Counts]:
    """All ways in which n agents can land."""
    if n_local == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in landings(n - first, n_local - 1):
            yield (first, *rest)


def plus(left: Counts, right: Counts) -> Counts:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def replica_successors(state: State, n: int, n_global: int, n_local: int) -> Iterator[State]:
    """One replica moves; the first also draws the pending s_g', the last commits it."""
    moving, places, s_g, pending = state
    for drawn in range(n_global) if moving == 0 else [pending]:
        for y in range(n_local):
            moved = (*places[:moving], y, *places[moving + 1 :])  # type: ignore[index,misc] # a tuple and an int
            last = moving == n - 1
            yield (0, moved, drawn, None) if last else (moving + 1, moved, s_g, drawn)  # type: ignore[operator] # an int


def histogram_successors(state: State, n: int, n_global: int, n_local: int) -> Iterator[State]:
    """All agents of one state move."""
    pointer, waiting, moved, s_g, pending = state
    for drawn in range(n_global) if pointer == 0 else [pending]:
        for landed in landings(waiting[pointer], n_local):  # type: ignore[index] # a tuple
            left = tuple(0 if x == pointer else c for x, c in enumerate(waiting))  # type: ignore[arg-type] # a tuple
            arrived = plus(moved, landed)  # type: ignore[arg-type] # a tuple
            empty = (0,) * n_local
            last = pointer == n_local - 1
            yield (0, arrived, empty, drawn, None) if last else (pointer + 1, left, arrived, s_g, drawn)  # type: ignore[operator] # an int


def tagged_successors(state: State, n: int, n_global: int, n_local: int) -> Iterator[State]:
    """The tagged agent moves first, then the others state by state."""
    stage, tagged, waiting, moved, s_g, pending = state
    if stage == 0:
        for drawn in range(n_global):
            for y in range(n_local):
                yield (1, y, waiting, moved, s_g, drawn)
        return
    bin_ = stage - 1  # type: ignore[operator] # an int
    for landed in landings(waiting[bin_], n_local):  # type: ignore[index] # a tuple
        left = tuple(0 if x == bin_ else c for x, c in enumerate(waiting))  # type: ignore[arg-type] # a tuple
        arrived = plus(moved, landed)  # type: ignore[arg-type] # a tuple
        empty = (0,) * n_local
        last = stage == n_local
        yield (0, tagged, arrived, empty, pending, None) if last else (stage + 1, tagged, left, arrived, s_g, pending)  # type: ignore[operator] # an int


def walk(kind: Chain, n: int, n_global: int, n_local: int) -> tuple[int, int]:
    """(states that can be reached, largest number of successors), from everyone in state 0."""
    empty = (0,) * n_local
    crowd = (n, *empty[1:])
    starts: dict[str, State] = {
        "replicas": (0, (0,) * n, 0, None),
        "histogram": (0, crowd, empty, 0, None),
        "tagged": (0, 0, (n - 1, *empty[1:]), empty, 0, None),
    }
    rules = {"replicas": replica_successors, "histogram": histogram_successors, "tagged": tagged_successors}
    seen, frontier, widest = {starts[kind]}, [starts[kind]], 0
    while frontier:
        following = set(rules[kind](frontier.pop(), n, n_global, n_local))
        widest = max(widest, len(following))
        frontier += following - seen
        seen |= following
    return len(seen), widest


@pytest.mark.parametrize("kind", ["replicas", "histogram", "tagged"])
@pytest.mark.parametrize(("n_global", "n_local"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 2), (2, 3)])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_chain_sizes_are_those_of_the_reachable_states(n: int, n_global: int, n_local: int, kind: Chain) -> None:
    chain = chain_size(kind, n, make_sizes(n_global, n_local))
    states, successors = walk(kind, n, n_global, n_local)
    assert chain.n_states.value == pytest.approx(states)
    assert chain.n_successors.value == pytest.approx(successors)


def test_steps_per_round() -> None:
    sizes = make_sizes(2, 3)
    steps = [chain_size(kind, 5, sizes).steps_per_round for kind in ("replicas", "histogram", "tagged")]
    assert steps == [5, 3, 4]


def test_histogram_chain_is_below_the_usual_count() -> None:
    """|S_l||S_g|(|S_g|+1) C(N+2|S_l|-1, 2|S_l|-1) counts states that cannot be reached."""
    for n in (1, 5, 30, 1000):
        usual = math.log(3 * 2 * 3 * math.comb(n + 5, 5))
        assert chain_size("histogram", n, make_sizes(2, 3)).n_states.log <= usual


def test_deciding_states_multiply_states_and_double_steps() -> None:
    chain = chain_size("tagged", 3, make_sizes(2, 2))
    doubled = chain.with_deciding_states(4)
    assert doubled.n_states.value == pytest.approx(5 * chain.n_states.value)
    assert (doubled.steps_per_round, doubled.kind) == (6, "tagged")
    assert doubled.n_successors == chain.n_successors
    assert doubled.horizon(4, make_sizes(2, 2)) == 2 * chain.horizon(4, make_sizes(2, 2))


@pytest.mark.parametrize("k", [1, 4, 100])
def test_horizon_leaves_out_one_over_root_k(sizes: GameSizes, k: int) -> None:
    rounds = chain_size("replicas", 1, sizes).horizon(k, sizes)
    assert truncation_error(rounds, 4.0, 0.5).value <= k**-0.5
    assert chain_size("replicas", 7, sizes).horizon(k, sizes) == 7 * rounds


def test_horizon_is_never_empty() -> None:
    tiny = GameSizes(**{**vars(make_sizes(1, 1)), "global_reward_bound": 0.1, "local_reward_bound": 0.1})
    assert chain_size("replicas", 2, tiny).horizon(1, tiny) == 2


def test_episodes_by_hand() -> None:
    """Replicas, k = 2: 2 2^2 3 = 24 states, 4 successors, r~ = 2, H = ceil(2 ln(4 sqrt 2)) = 4, Hmic = 8."""
    sizes = make_sizes(2, 2)
    chain = chain_size("replicas", 2, sizes)
    assert chain.horizon(2, sizes) == 8
    expected = 8**2 * 4 * 24 * 2 / 0.3**2 * math.log(20)
    assert ucfh_episodes(chain, 8, 2, 0.3, 0.05).value == pytest.approx(expected)
    expected = 8**2 * 4 * 24 * 2 * (2**2 * 2) * math.log(20)  # eps = 1/(r~ sqrt k)
    assert local_response_episodes(2, sizes, delta=0.05, kind="replicas").value == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 5, 30, 1000])
def test_the_cheapest_chain_is_the_default(sizes: GameSizes, k: int) -> None:
    kinds: tuple[Chain, ...] = ("replicas", "histogram", "tagged")
    costs = {kind: local_response_episodes(k, sizes, kind=kind).log for kind in kinds}
    assert local_response_episodes(k, sizes).log == min(costs.values())
    assert costs[cheapest_chain(k, sizes).kind] == min(costs.values())  # type: ignore[index] # a Chain


def test_replicas_pay_exponentially_and_histograms_polynomially(sizes: GameSizes) -> None:
    kinds: tuple[Chain, ...] = ("replicas", "histogram", "tagged")
    growth = {kind: [chain_size(kind, n, sizes).n_states.log for n in (10**4, 10**5)] for kind in kinds}
    assert growth["replicas"][1] / growth["replicas"][0] == pytest.approx(10, rel=0.01)
    for kind in ("histogram", "tagged"):
        assert growth[kind][1] - growth[kind][0] < 8 * math.log(10)  # below N^(2|S_l|)


def test_theorem_4_6() -> None:
    bound = theorem_4_6(4, delta=0.1)
    assert (bound.value, bound.probability, bound.verdict) == (0.5, 0.9, "unproved")
    assert theorem_4_6(4).probability == 1 - 1 / 200


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: chain_size("all", 1, make_sizes(1, 1)), "kind must be one of 'replicas', 'histogram', 'tagged'"),  # type: ignore[arg-type] # refused
        (lambda: chain_size("replicas", 0, make_sizes(1, 1)), "n_agents must be at least 1; got 0"),
        (lambda: local_response_episodes(0, make_sizes(1, 1)), "k must be at least 1; got 0"),
        (lambda: theorem_4_6(0), "k must be at least 1; got 0"),
        (
            lambda: chain_size("replicas", 1, make_sizes(1, 1)).with_deciding_states(0),
            "n_local_actions must be at least 1; got 0",
        ),
        (
            lambda: ucfh_episodes(chain_size("replicas", 1, make_sizes(1, 1)), 0, 1, 0.1, 0.1),
            "horizon must be at least 1; got 0",
        ),
        (
            lambda: ucfh_episodes(chain_size("replicas", 1, make_sizes(1, 1)), 1, 1, 0.0, 0.1),
            "error must be positive and finite; got 0.0",
        ),
        (
            lambda: ucfh_episodes(chain_size("replicas", 1, make_sizes(1, 1)), 1, 1, 0.1, 1.0),
            "delta must lie strictly between 0 and 1; got 1.0",
        ),
    ],
)
def test_rejected(call: Callable[[], object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()
