"""Games by name, and what importing `kofn.envs` puts into the registries of PettingZoo and Gymnasium."""

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pettingzoo
import pytest

from kofn.envs import GAMES, TabularGame, game_id, register_all
from kofn.envs.registration import VIEWS, Defaults, as_game, default_sizes, game_module, registered_game

MakeGame = Callable[..., TabularGame]
every_game = pytest.mark.parametrize("name", GAMES)
has_registry = pytest.mark.skipif(not hasattr(pettingzoo, "register"), reason="PettingZoo before 1.27 has no registry")


def run(code: str, folder: Path) -> str:
    """What a fresh interpreter prints, warnings being errors."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@every_game
def test_id_has_name_and_version(name: str) -> None:
    assert game_id(name) == f"kofn/{name}-v{GAMES[name]}"


def test_the_warehouse_is_registered() -> None:
    assert game_id("warehouse_dispatch") == "kofn/warehouse_dispatch-v0"


@every_game
@has_registry
def test_pettingzoo_knows_the_game(name: str) -> None:
    parallel, aec = pettingzoo.spec("parallel", game_id(name)), pettingzoo.spec("aec", game_id(name))
    assert parallel.entry_point == "kofn.wrappers.factory:make_parallel"
    assert aec.entry_point == "kofn.wrappers.factory:make_aec"
    assert parallel.kwargs == aec.kwargs == {"game": name}


@pytest.mark.parametrize("view", VIEWS)
def test_gymnasium_knows_the_view(view: str) -> None:
    entry_point = gymnasium.spec(view).entry_point
    assert entry_point == VIEWS[view]
    module, _, attribute = str(entry_point).partition(":")
    assert hasattr(importlib.import_module(module), attribute)


@every_game
def test_module_exports_what_registration_needs(name: str) -> None:
    module = game_module(name)
    assert module.__name__ == f"kofn.envs.{name}"
    assert isinstance(module.DEFAULTS, Defaults)
    assert 1 <= module.DEFAULTS.k <= module.DEFAULTS.n_agents
    assert default_sizes(name) is module.DEFAULTS
    assert all(callable(getattr(module, attribute)) for attribute in ("game", "parallel_env", "env"))


def test_games_by_object_and_by_name(warehouse3: TabularGame) -> None:
    assert as_game(warehouse3) is warehouse3
    assert default_sizes(warehouse3) is None
    assert as_game("warehouse_dispatch").labels.title == "warehouse dispatch"


def test_unknown_name_lists_the_known_and_suggests_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GAMES, "cluster_line_for_this_test", 0)
    for lookup in (game_module, as_game, default_sizes):
        with pytest.raises(ValueError, match="did you mean 'warehouse_dispatch'") as raised:
            lookup("warehouse_dispach")
        assert all(repr(name) in str(raised.value) for name in GAMES)
        assert "got 'warehouse_dispach'" in str(raised.value)
        with pytest.raises(ValueError, match="did you mean 'cluster_line_for_this_test'"):
            lookup("cluster_line_for_test")


def test_name_unlike_any_other_gets_no_suggestion() -> None:
    with pytest.raises(ValueError, match=r"game must be one of .*; got 'qqq'$"):
        as_game("qqq")


@pytest.mark.parametrize("game", [None, 3, ["warehouse_dispatch"]])
def test_a_game_is_an_object_or_a_name(game: Any) -> None:
    with pytest.raises(TypeError, match=f"game must be a TabularGame or a registered name; got {type(game).__name__}"):
        as_game(game)


@pytest.mark.parametrize(
    ("name", "kind"), [("cluster_line", "ContinuousGame"), ("gaussian_squeeze_native", "AggregateGame")]
)
def test_a_game_without_arrays_is_no_game_of_arrays(name: str, kind: str) -> None:
    assert type(registered_game(name)).__name__ == kind
    with pytest.raises(TypeError, match=f"game must have arrays .*; '{name}' is of type {kind}, which has none"):
        as_game(name)


@pytest.mark.parametrize("name", ["cluster_line", "gaussian_squeeze_native"])
def test_solvers_of_arrays_refuse_games_without(name: str) -> None:
    from kofn.agents import g_learn  # noqa: PLC0415 - to the right of what is tested

    game = registered_game(name)
    with pytest.raises(TypeError, match=f"game must be a TabularGame or a GenerativeGame; got {type(game).__name__}"):
        g_learn(game, "uniform", k=2)


class Recorder:
    """Stands in for both `register` functions, which warn when an id is registered again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pettingzoo: list[tuple[Any, ...]] = []
        self.gymnasium: list[str] = []
        monkeypatch.setattr(pettingzoo, "register", lambda *a, **_: self.pettingzoo.append(a), raising=False)
        monkeypatch.setattr(gymnasium, "register", lambda **options: self.gymnasium.append(options["id"]))


def test_everything_is_registered_as_parallel_and_aec(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    register_all()
    kinds = [(kind, identity) for kind, identity, _ in recorder.pettingzoo]
    assert kinds == [(kind, game_id(name)) for name in GAMES for kind in ("parallel", "aec")]
    assert recorder.gymnasium == list(VIEWS)


def test_pettingzoo_without_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    monkeypatch.delattr(pettingzoo, "register")
    register_all()
    assert recorder.pettingzoo == []
    assert recorder.gymnasium == list(VIEWS)


def test_modules_work_where_pettingzoo_has_no_registry(tmp_path: Path) -> None:
    code = (
        "import pettingzoo\n"
        "if hasattr(pettingzoo, 'register'): del pettingzoo.register\n"
        "from kofn.envs.warehouse_dispatch import env, parallel_env\n"
        "parallel_env(n_agents=3).reset(seed=0); env(n_agents=3).reset(seed=0); print('fine')"
    )
    assert run(code, tmp_path) == "fine"


def test_registering_imports_nothing_to_the_right(tmp_path: Path) -> None:
    code = "import sys, kofn.envs; print(sorted(m for m in sys.modules if m.startswith('kofn.') and m[5:9] != 'envs'))"
    assert run(code, tmp_path) == "[]"


def test_registering_does_not_import_the_games(tmp_path: Path) -> None:
    code = f"import sys, kofn.envs; print([n for n in {list(GAMES)} if f'kofn.envs.{{n}}' in sys.modules])"
    assert run(code, tmp_path) == "[]"


@pytest.mark.parametrize(
    ("view", "options"),
    [
        ("GlobalBestResponse", "k=10, local_policy='uniform'"),
        ("LocalBestResponse", "k=10, deviation='shared'"),
        ("LocalBestResponse", ""),
    ],
)
def test_views_from_a_fresh_interpreter(view: str, options: str, tmp_path: Path) -> None:
    code = (
        "import gymnasium\n"
        f"env = gymnasium.make('kofn.envs:kofn/{view}-v0', game='warehouse_dispatch', n_agents=1000, {options})\n"
        "env.reset(seed=0); env.step(env.action_space.sample()); print(type(env.unwrapped).__name__)"
    )
    assert run(code, tmp_path) == view


@has_registry
def test_games_from_a_fresh_interpreter(tmp_path: Path) -> None:
    code = (
        "import pettingzoo, kofn.envs\n"
        "env = pettingzoo.make('parallel', 'kofn/warehouse_dispatch-v0', n_agents=1000, k=10)\n"
        "obs, infos = env.reset(seed=0); print(len(obs), len(infos['global_0']['sampled_agents']))"
    )
    assert run(code, tmp_path) == "1001 10"
