"""The README's table of versions, from real runs: one virtual environment per row, the same checks in each.

    python docs/compatibility.py --folder /tmp/kofn-environments [--rows 0 3] [--tests PATH .. | --whole]

Each row names an interpreter and pins. The environment gets kofn, installed from this repository with the pins, and in
it are run:

1. imports; PettingZoo's `parallel_api_test` on every game, Gymnasium's `check_env` on a view; the alternation, trained
   on a small warehouse; where Stable-Baselines3 or TorchRL is pinned, a few steps of training with it;
2. the test suite: the tests of the interfaces that these versions touch (`INTERFACES`), or those named by `--tests`;
   with `--whole`, every test but those of packaging, architecture, documentation and README, which belong to one set of
   versions. Tests that need what is not installed are left out or skipped; the extras that need no PyTorch always are.

What does not install or run is a row that says so. Interpreters that are not there (in pyenv's folder or on the path)
are left out, with a note on the standard error stream. The exit status is the number of rows that do not end as
expected.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN = ("numpy", "scipy", "numba", "gymnasium", "pettingzoo", "matplotlib", "stable_baselines3", "torchrl")
TOOLS = ("pytest", "pytest-xdist", "hypothesis")
EXTRAS = "[federated,cluster,render]"
WITHOUT_TORCH = ("safetensors", "tensorboard")  # of the extra deep
INTERFACES = (
    *(f"tests/envs/test_{name}.py" for name in ("conformance", "conformance_copies", "conformance_determinism")),
    *(f"tests/envs/test_{name}.py" for name in ("conformance_wrappers", "registration", "array_inputs")),
    *(f"tests/envs/test_parallel{part}.py" for part in ("", "_copies", "_refusals")),
    *(f"tests/envs/test_simulator{part}.py" for part in ("", "_payments", "_seeds", "_sizes")),
    *(f"tests/wrappers/test_subsample{part}.py" for part in ("", "_law", "_refusals")),
    *(f"tests/wrappers/test_{name}.py" for name in ("best_response", "factory", "flatten", "vector_views")),
    *("tests/experiments/test_cli.py", "tests/experiments/integrations"),
)
WHOLE = ("tests", *(f"--ignore=tests/{name}" for name in ("packaging", "architecture", "docs", "readme")))

CHECK = """
import importlib.util, json, sys
from importlib.metadata import version
import kofn.envs
from kofn.envs import GAMES
from kofn.experiments.cli import main
from kofn.wrappers.factory import make_parallel
from pettingzoo.test import parallel_api_test
from gymnasium.utils.env_checker import check_env
from kofn.wrappers import GlobalBestResponse, homogenize
for name in GAMES:
    if importlib.util.find_spec("sklearn") or not name.startswith("federated_a"):
        parallel_api_test(homogenize(make_parallel(game=name, n_agents=5, k=2, max_cycles=5)), num_cycles=10)
check_env(GlobalBestResponse("warehouse_dispatch", n_agents=12, k=3), skip_render_check=True)
from kofn.agents import AlternatingMARL
env = make_parallel(game="warehouse_dispatch", n_agents=20, k=1, max_cycles=20)
assert AlternatingMARL(env, seed=0).learn().potential > 50
if importlib.util.find_spec("stable_baselines3"):
    from stable_baselines3 import PPO
    from kofn.experiments.integrations.sb3 import to_vec_env
    PPO("MlpPolicy", to_vec_env(env, 2, 0), n_steps=20, batch_size=84, n_epochs=1, device="cpu").learn(840)
if importlib.util.find_spec("torchrl"):
    from kofn.experiments.integrations.torchrl_ppo import PPOConfig, train_ppo
    small = make_parallel(game="warehouse_dispatch", n_agents=3, k=1, max_cycles=5)
    train_ppo(small, PPOConfig(n_iterations=1, episodes_per_batch=1, n_epochs=1), seed=0)
found = {}
for name in json.loads(sys.argv[1]):
    if importlib.util.find_spec(name):
        found[name] = version(name)
print("FOUND", json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One pairing: an interpreter, and pins of packages (others are free, within kofn's own bounds)."""

    python: str
    pins: dict[str, str] = field(default_factory=dict)
    fails: bool = False


NEW = {"gymnasium": "1.4.0", "pettingzoo": "1.27.0"}
OLDEST = {"numpy": "1.26.0", "scipy": "1.12.0", "numba": "0.59.0", "gymnasium": "1.1.0", "pettingzoo": "1.24.3"}
OLD_TOOLS = {"matplotlib": "3.8.0", "tyro": "1.0.0", "pyparsing": "3.1.4"}
DEEP = {"torch": "2.13.0", "stable-baselines3": "2.9.2", "torchrl": "0.14.1"}
ROWS = (
    Row(python="3.11", pins={**NEW, "numpy": "2.4.6", **DEEP}),
    Row(python="3.12", pins=NEW),
    Row(python="3.13", pins=NEW),
    Row(python="3.11", pins={**NEW, "gymnasium": "1.2.3", **DEEP}),
    Row(python="3.11", pins={**NEW, "pettingzoo": "1.26.1", **DEEP}),
    Row(python="3.11", pins={**NEW, "numpy": "1.26.4"}),
    Row(python="3.11", pins={**OLDEST, **OLD_TOOLS}),
    Row(python="3.11", pins={**OLDEST, **OLD_TOOLS, "pettingzoo": "1.24.2"}, fails=True),
)


def interpreter(version: str) -> str | None:
    """A Python of this version, from pyenv or the path (last: pyenv's shims may stand for versions not there)."""
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    found += [Path(part) / f"python{version}" for part in os.environ.get("PATH", "").split(os.pathsep)]
    return next((str(path) for path in found if path.is_file()), None)


def run(row: Row, folder: Path, tests: list[str]) -> tuple[dict[str, str], str]:
    """(versions found, "works" or what failed) of one row."""
    python = interpreter(row.python)
    assert python is not None  # as the caller chooses
    names = "-".join([row.python, *(f"{name}{version}" for name, version in row.pins.items())])
    venv = folder / names
    try:
        if not (venv / "bin" / "python").exists():
            _call([python, "-m", "venv", str(venv)])
        pip = [str(venv / "bin" / "pip"), "install", "--quiet"]
        wanted = [str(ROOT) + EXTRAS, *WITHOUT_TORCH, *TOOLS]
        _call([*pip, *wanted, *(f"{name}=={version}" for name, version in row.pins.items())])
        _call([*pip, "--no-deps", "--force-reinstall", str(ROOT)])
    except subprocess.CalledProcessError as error:
        return dict(row.pins), f"does not install: {_last_line(error.stderr)}"
    here = str(venv / "bin" / "python")
    done = subprocess.run(
        [here, "-c", CHECK, json.dumps(SHOWN)], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return dict(row.pins), f"fails: {_last_line(done.stderr)}"
    found = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    return json.loads(found.removeprefix("FOUND ")), run_tests(here, tests)


def run_tests(python: str, tests: list[str]) -> str:
    """The outcome of the test suite in an environment, in words."""
    pytest = [python, "-B", "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider"]
    done = subprocess.run([*pytest, *tests], cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:], file=sys.stderr)
    counts = {word: number for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout[-500:])}
    said = ", ".join(f"{number} {word}" for word, number in counts.items())
    return f"works: {said}" if done.returncode == 0 else f"fails: {said or _last_line(done.stdout + done.stderr)}"


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:100] if lines else "no message"


def main() -> int:
    """Run the rows and print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the environments are made (and used again)")
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(ROWS)), help="numbers of the rows to run")
    parser.add_argument("--tests", nargs="+", default=INTERFACES, help="files or folders of tests")
    parser.add_argument("--whole", action="store_true", help="run nearly the whole test suite in each environment")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    print("| Python | " + " | ".join(SHOWN) + " | result |")
    print("|---" * (len(SHOWN) + 2) + "|")
    surprises = 0
    for number in arguments.rows:
        row = ROWS[number]
        if interpreter(row.python) is None:
            print(f"row {number}: no Python {row.python} here", file=sys.stderr)
            continue
        found, result = run(row, folder, list(WHOLE if arguments.whole else arguments.tests))
        surprises += result.startswith("works") == row.fails
        cells = [found.get(name, found.get(name.replace("_", "-"), "")) for name in SHOWN]
        print("| " + " | ".join([row.python, *cells, result]) + " |", flush=True)
    return surprises


if __name__ == "__main__":
    sys.exit(main())
