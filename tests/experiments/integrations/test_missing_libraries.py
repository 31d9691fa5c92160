"""Without its library, an integration says what to install; importing the package itself loads none."""

import importlib
import subprocess
import sys

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


def test_every_library_has_a_recipe() -> None:
    assert set(RECIPES) == set(LIBRARY_OF.values())


def test_importing_the_package_loads_no_library() -> None:
    code = f"import sys, {PACKAGE}; print([name for name in {sorted(RECIPES)} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
