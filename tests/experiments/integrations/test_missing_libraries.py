"""Without its library, an integration says what to install; importing the package itself loads none."""

import importlib
import subprocess
import sys
import types
from typing import Any

import pytest

from kofn.experiments.integrations.requirements import RECIPES

LIBRARY_OF = {
    "sb3": "stable_baselines3",
    "torchrl": "torchrl",
    "torchrl_ppo": "torchrl",
    "benchmarl": "benchmarl",
    "rllib": "ray",
    "tianshou": "tianshou",
    "agilerl": "agilerl",
}
PACKAGE = "kofn.experiments.integrations"


@pytest.mark.parametrize("name", LIBRARY_OF)
def test_error_names_the_library_and_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = LIBRARY_OF[name]
    for module in [module for module in sys.modules if module.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    for module in [module for module in sys.modules if module.startswith(f"{PACKAGE}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"needs {library}, which is not installed; .*pip install"):
        importlib.import_module(f"{PACKAGE}.{name}")


class Config:
    """What `multi_policy_config` calls, in place of RLlib's."""

    def __getattr__(self, _: str) -> Any:
        return self._noted

    def _noted(self, *_: Any, **settings: Any) -> "Config":
        self.__dict__.update(settings)
        return self


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """A module in place of one that is not installed."""
    module = types.ModuleType(name)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


def test_rllib_is_told_the_discount_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithms, wrappers = "ray.rllib.algorithms", "ray.rllib.env.wrappers"
    for name in ("ray", "ray.rllib", algorithms, "ray.rllib.env", wrappers, "ray.tune"):
        stand_in(monkeypatch, name)
    stand_in(monkeypatch, f"{algorithms}.algorithm_config", AlgorithmConfig=Config)
    stand_in(monkeypatch, f"{wrappers}.pettingzoo_env", ParallelPettingZooEnv=list)
    stand_in(monkeypatch, "ray.tune.registry", register_env=lambda *_: None)
    monkeypatch.delitem(sys.modules, f"{PACKAGE}.rllib", raising=False)
    rllib = importlib.import_module(f"{PACKAGE}.rllib")
    config = rllib.multi_policy_config(Config(), game="warehouse_dispatch", n_agents=4, k=2, discount=0.5)
    sys.modules.pop(f"{PACKAGE}.rllib")  # made of stand-ins
    assert config.gamma == 0.5


def test_benchmarl_is_told_the_discount_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    class TaskClass:
        def __init__(self, name: str, config: dict[str, Any]) -> None:
            self.name, self.config = name, config

    class Task:
        def __init__(self, *_: Any) -> None:
            pass

    for name in ("benchmarl", "benchmarl.environments"):
        stand_in(monkeypatch, name)
    stand_in(monkeypatch, "benchmarl.environments.common", Task=Task, TaskClass=TaskClass)
    stand_in(monkeypatch, f"{PACKAGE}.torchrl", to_torchrl=None)
    monkeypatch.delitem(sys.modules, f"{PACKAGE}.benchmarl", raising=False)
    benchmarl = importlib.import_module(f"{PACKAGE}.benchmarl")
    sys.modules.pop(f"{PACKAGE}.benchmarl")
    assert benchmarl.KofnClass("WAREHOUSE_DISPATCH", {"n_agents": 5, "k": 2, "discount": 0.5}).discount == 0.5


def test_every_library_has_a_recipe() -> None:
    assert set(RECIPES) == set(LIBRARY_OF.values())


def test_importing_the_package_loads_no_library() -> None:
    code = f"import sys, {PACKAGE}; print([name for name in {sorted(RECIPES)} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
