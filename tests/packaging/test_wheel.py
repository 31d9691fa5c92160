"""The wheel owns ``kofn`` and nothing else, and works in an environment that holds only what pip brings with it.

The environment is a real one: a new virtual environment, filled by pip from the wheel and ``constraints.txt``. It needs
a package index, and fails without one: an install that was not tried is not known to work.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("envs", "wrappers", "agents", "experiments")
ISOLATED = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

PLAY = """
import importlib.util, pettingzoo, kofn.envs
env = pettingzoo.make("parallel", "kofn/warehouse_dispatch-v0", n_agents=20, k=3)
observations, infos = env.reset(seed=0)
actions = {agent: env.action_space(agent).sample() for agent in env.agents}
observations, rewards, *_ = env.step(actions)
assert sorted(observations) == sorted(rewards) == sorted(["global_0", *(f"local_{i}" for i in range(20))])
for name in ("envs", "wrappers", "agents", "experiments", "torch"):
    assert importlib.util.find_spec(name) is None, name
import gymnasium
env = gymnasium.make("kofn.envs:kofn/GlobalBestResponse-v0", game="warehouse_dispatch", n_agents=20, k=3)
observation, info = env.reset(seed=0)
observation, *_ = env.step(env.action_space.sample())
assert env.observation_space.contains(observation)
print(kofn.envs.__file__)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output of a command that must succeed; what it said if it does not."""
    done = subprocess.run(command, cwd=cwd, env=ISOLATED, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        pytest.fail(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{said}")
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources alone, so that no earlier ``build/`` can lend it a file."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tree / "dist", cwd=tree)
    (built,) = (tree / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    """Names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the executables of a new virtual environment that holds the wheel and its core dependencies."""
    home = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    folder = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
    # This environment's pip fills the other; what is then imported is compiled as it is.
    pip = (sys.executable, "-m", "pip", "--python", folder / "python")
    run(*pip, "install", "--no-compile", "-c", ROOT / "constraints.txt", wheel, cwd=home)
    return folder


def test_wheel_owns_kofn_alone(contents: set[str]) -> None:
    roots = {name.split("/")[0] for name in contents}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"kofn"}
    assert len(roots) == 2


def test_kofn_is_a_namespace(contents: set[str]) -> None:
    assert {name for name in contents if name.startswith("kofn/") and name.count("/") == 1} == set()


def test_wheel_holds_every_source_file(contents: set[str]) -> None:
    on_disk = {
        f"kofn/{path.relative_to(ROOT).as_posix()}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {f"kofn/{package}/py.typed" for package in PACKAGES} <= on_disk
    assert {name for name in contents if name.startswith("kofn/")} == on_disk


def test_a_game_is_played_and_a_view_made_in_an_empty_environment(scripts: Path, tmp_path: Path) -> None:
    origin = run(scripts / "python", "-I", "-c", PLAY, cwd=tmp_path)
    assert Path(origin.strip()).is_relative_to(scripts.parent)


def test_command_line_starts_in_an_empty_environment(scripts: Path, tmp_path: Path) -> None:
    assert "train" in run(scripts / "kofn", "--help", cwd=tmp_path)
