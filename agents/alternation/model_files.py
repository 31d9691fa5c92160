"""The folder of a trained model.

| file | content |
|---|---|
| `game.npz` | the four arrays, discount, start laws, names (no file for a game given as functions) |
| `global_policy.npz`, `local_policy.npz` | the current pair (`.safetensors` where they are networks) |
| `config.json` | sizes, observation format, settings, learners, seed |
| `history.csv` | one line per proposal |

Nothing is pickled; each file is replaced atomically; the same run writes the same bytes. A run that is stopped at any
moment leaves a folder that loads, or one without `config.json`, in which no run was begun:

* The history is written before the policies, and names the pair kept after every proposal: when a run is stopped
  between the two, loading drops the last proposal, which resuming makes again.
* `config.json` is written last. Where a run of several starts (`multi_start`) exchanges the best model in its folder
  for another, it names the old one until all of the new one is there; meanwhile that start's own folder is loaded.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from kofn.agents.alternation.history import AlternatingConfig, Proposal, pair_digest
from kofn.agents.alternation.learners import GlobalLearner, LocalLearner, describe_learner, rebuild_learner
from kofn.agents.alternation.pairs import Pair, check_loaded, load_pair, save_pair
from kofn.agents.alternation.setting import Setting
from kofn.envs.arrays import integer, one_of
from kofn.envs.files import FORMAT_VERSION, check_header, naming_damage, read_json, write_json, write_text
from kofn.envs.game import TabularGame
from kofn.envs.interface import OpenGame
from kofn.wrappers.sampler_files import describe_sampler, rebuild_sampler
from kofn.wrappers.samplers import UNIFORM, Sampler, as_sampler

KIND = "AlternatingMARL"

MODEL_FILES = (
    *("config.json", "game.npz", "history.csv"),
    *(f"{policy}_policy{suffix}" for policy in ("global", "local") for suffix in (".npz", ".safetensors")),
)
"""Every file of a model's folder."""


@dataclass(frozen=True, eq=False, kw_only=True)
class StoredModel:
    """Everything an alternation needs to be played or resumed.

    The first `learners_since` proposals were made before one of the players got another learner.
    """

    setting: Setting
    config: AlternatingConfig
    global_learner: GlobalLearner
    local_learner: LocalLearner
    global_policy: Any
    local_policy: Any
    start_pair: str
    history: tuple[Proposal, ...]
    seed: np.random.SeedSequence
    learners_since: int = 0

    def going_on_with(
        self, global_learner: GlobalLearner | None, local_learner: LocalLearner | None, sampler: Sampler | str | None
    ) -> "StoredModel":
        """The same with what is given put in its place; refusals of before do not count where a learner is new."""
        given = {"global_learner": global_learner, "local_learner": local_learner}
        new: dict[str, Any] = {name: learner for name, learner in given.items() if learner is not None}
        others = any(
            describe_learner(learner) != describe_learner(getattr(self, name)) for name, learner in new.items()
        )
        if others:
            new["learners_since"] = len(self.history)
        if sampler is not None:
            new["setting"] = replace(self.setting, sampler=as_sampler(sampler))
        return replace(self, **new)


def save_model(model: StoredModel, folder: Path) -> None:
    """Write a model's folder; after every proposal, so that at most the last one's policy can be missing."""
    if isinstance(model.setting.game, TabularGame):
        model.setting.game.save(folder / "game.npz")
    write_text(folder / "history.csv", history_csv(model.history))
    save_pair(folder, (model.global_policy, model.local_policy))
    write_json(folder / "config.json", describe_model(model))


def describe_model(model: StoredModel) -> dict[str, Any]:
    """What `config.json` says: everything that fixes the run, except the game's arrays."""
    setting = model.setting
    return {
        "kind": KIND,
        "format_version": FORMAT_VERSION,
        "game": "arrays" if isinstance(setting.game, TabularGame) else "functions",
        "n_agents": setting.n_agents,
        "k": setting.k,
        "max_cycles": setting.max_cycles,
        "obs_mode": setting.obs_mode,
        "summary": setting.summary,
        "sampler": describe_sampler(setting.sampler),
        "seed": {"entropy": _integers(model.seed.entropy), "spawn_key": _integers(model.seed.spawn_key)},
        "config": asdict(model.config),
        "start_pair": model.start_pair,
        "global_learner": describe_learner(model.global_learner),
        "local_learner": describe_learner(model.local_learner),
        **({"learners_since": model.learners_since} if model.learners_since else {}),
    }


def kind_of(path: Path) -> Any:
    """The kind that a JSON file names; None where there is no such file, or one that names none."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    return content.get("kind") if isinstance(content, dict) else None


def holds_only_a_model(folder: Path) -> bool:
    """Whether a folder holds files of a model, be it one that has begun to be saved or removed, and nothing else."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if any(path.is_dir() or _HALF_WRITTEN.sub(r"\1", path.name) not in MODEL_FILES for path in folder.iterdir()):
        return False
    config, history = folder / "config.json", folder / "history.csv"
    columns = ",".join(_PARSERS).encode()
    return (not config.exists() or kind_of(config) == KIND) and (
        not history.exists() or history.read_bytes().startswith(columns)
    )


_HALF_WRITTEN = re.compile(r"^\.(.+)\.[0-9a-f]{8}$")
"""What `write_atomically` leaves of a file when its process is killed."""


def load_model(folder: Path, functions: OpenGame | None = None) -> StoredModel:
    """Read a model's folder; FileNotFoundError or ValueError name the file at fault.

    `functions` is the model's game where that is not stored.
    """
    content = read_json(folder / "config.json")
    if not isinstance(content, dict):
        raise ValueError(f"{folder / 'config.json'} must hold an object; it holds a {type(content).__name__}")
    check_header(folder / "config.json", KIND, content.get("kind"), content.get("format_version"))
    game = _load_game(folder, content.get("game", "arrays"), functions)
    pair = load_pair(folder, game)
    history = read_history(folder / "history.csv")
    with naming_damage(folder / "config.json"):
        model = _rebuild(content, game, pair, history)
    check_loaded(folder, model.setting, pair)
    kept = _history_of_pair(model.history, model.start_pair, pair_digest(*pair))
    if kept is not None:
        return replace(model, history=kept)
    start = _start_of(folder, content)
    if start is None:
        raise ValueError(f"the policies in {folder} are not those of its history.csv; restore both from one copy")
    return load_model(start, functions)


def _start_of(folder: Path, content: dict[str, Any]) -> Path | None:
    """The folder of the start of a multi-start run that a configuration is of."""
    files = sorted((folder / "starts").glob("*/config.json"))
    return next((file.parent for file in files if read_json(file) == content), None)


def _load_game(folder: Path, kind: object, functions: OpenGame | None) -> Any:
    """The game as stored, or as passed where functions cannot be."""
    if (kind == "functions") != (functions is not None):
        rule = "is not stored: pass it, load(..., game=...)" if functions is None else "is stored: omit game"
        raise ValueError(f"the game of {folder} is given as {kind} and {rule}")
    return functions if functions is not None else TabularGame.load(folder / "game.npz")


def _history_of_pair(history: tuple[Proposal, ...], start_pair: str, found: str) -> tuple[Proposal, ...] | None:
    """The history up to the pair found: all of it, or all but a last proposal cut off while saving; None: another's."""
    kept = [start_pair, *(proposal.kept_pair for proposal in history)]
    if found == kept[-1]:
        return history
    return history[:-1] if len(kept) > 1 and found == kept[-2] else None


def _rebuild(
    content: dict[str, Any],
    game: Any,
    pair: Pair,
    history: tuple[Proposal, ...],
) -> StoredModel:
    sizes = {name: content[name] for name in ("n_agents", "k", "max_cycles", "obs_mode", "summary")}
    seed = content["seed"]
    sampler = rebuild_sampler(content.get("sampler", describe_sampler(UNIFORM)))
    return StoredModel(
        setting=Setting(game=game, sampler=sampler, **sizes),
        config=AlternatingConfig(**content["config"]),
        global_learner=rebuild_learner(content["global_learner"]),
        local_learner=rebuild_learner(content["local_learner"]),
        global_policy=pair[0],
        local_policy=pair[1],
        start_pair=content["start_pair"],
        history=history,
        learners_since=integer("learners_since", content.get("learners_since", 0), 0),
        seed=np.random.SeedSequence(seed["entropy"], spawn_key=tuple(seed["spawn_key"])),
    )


def _integers(values: Any) -> int | list[int]:
    """A seed's entropy or key as JSON holds it."""
    return [int(value) for value in values] if isinstance(values, Iterable) else int(values)


def history_csv(history: tuple[Proposal, ...]) -> str:
    """The history as CSV text; floats round-trip exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(Proposal)]
    writer.writerow(names)
    writer.writerows([getattr(proposal, name) for name in names] for proposal in history)
    return text.getvalue()


_PARSERS: dict[str, Callable[[str], Any]] = {
    "step": int,
    "player": lambda text: one_of("player", text, ("global", "local")),
    "potential": float,
    "proposed_potential": float,
    "standard_error": float,
    "verdict": lambda text: one_of("verdict", text, ("accept", "reject", "overlap")),
    "learner_iterations": int,
    "learner_converged": lambda text: one_of("learner_converged", text, ("True", "False")) == "True",
    "learner_certificate": float,
    "kept_pair": str,
}


def read_history(path: Path) -> tuple[Proposal, ...]:
    """Proposals of a history file; ValueError names the damaged line."""
    with path.open(newline="", encoding="utf-8") as file:
        try:
            header, *rows = csv.reader(file)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path} is not a history file ({error}); restore it from a copy") from None
    if header != list(_PARSERS):
        raise ValueError(f"{path} must begin with the columns {','.join(_PARSERS)}; restore it from a copy")
    return tuple(_read_proposal(path, step, row) for step, row in enumerate(rows, start=1))


def _read_proposal(path: Path, step: int, row: list[str]) -> Proposal:
    """The proposal of a line, which must carry its number: a missing line would change the resumed run."""
    try:
        values = {name: parse(text) for (name, parse), text in zip(_PARSERS.items(), row, strict=True)}
        if values["step"] != step:
            raise ValueError(f"step must be {step}; got {values['step']}")
    except ValueError as error:
        raise ValueError(f"{path}, line {step + 1} is damaged ({error}); restore it from a copy") from None
    return Proposal(**values)
