"""A model's folder: what comes back is what was saved, the same run writes the same bytes, damage is named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kofn.agents import AlternatingConfig, AlternatingMARL, GLearner, LLearner, Problem, Proposal
from kofn.agents.alternation.model_files import history_csv, read_history
from kofn.agents.alternation.setting import Setting
from kofn.envs import GlobalPolicy, LocalPolicy, TabularGame

Games = Callable[..., TabularGame]

FILES = {"config.json", "game.npz", "global_policy.npz", "history.csv", "local_policy.npz"}


def model_of(game: TabularGame, **options: Any) -> AlternatingMARL:
    options = {"seed": 3, "config": AlternatingConfig(n_rollouts=50, eta=0.05, horizon=20)} | options
    setting = options.pop("setting", Setting(game=game, n_agents=6, k=2))
    return AlternatingMARL(setting, options.pop("config"), **options)


@pytest.fixture(scope="module")
def trained(random_game: Games, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model's folder, to be left as it is."""
    model = model_of(random_game(0, n_local=3, discount=0.8))
    model.learn()
    folder = tmp_path_factory.mktemp("trained")
    model.save(folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "run")


def test_what_is_loaded_is_what_was_saved(random_game: Games, tmp_path: Path) -> None:
    game = random_game(1, n_local=3, discount=0.8)
    setting = Setting(game=game, n_agents=9, k=2, max_cycles=17, obs_mode="multidiscrete", summary="states")
    model = model_of(
        game,
        setting=setting,
        config=AlternatingConfig(max_alternations=4, n_rollouts=60),
        global_learner=GLearner(operator="monte_carlo", n_samples=11, tolerance=1e-5),
        local_learner=LLearner(max_iterations=33),
        local_policy=np.full((3, 2, 2), [0.1, 0.9]),
        seed=[5, 6],
    )
    model.learn()
    model.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert loaded.config == model.config
    assert (loaded.global_learner, loaded.local_learner) == (model.global_learner, model.local_learner)
    for name in ("n_agents", "k", "max_cycles", "obs_mode", "summary"):
        assert getattr(loaded.setting, name) == getattr(setting, name)
    assert (loaded.setting.game.local_transition == game.local_transition).all()
    assert (loaded.global_policy.table == model.global_policy.table).all()
    assert (loaded.local_policy.table == model.local_policy.table).all()
    assert loaded.history == model.history
    assert (loaded.seed.generate_state(8) == model.seed.generate_state(8)).all()
    assert loaded.description() == model.description()
    assert (loaded.converged, loaded.eta, loaded.horizon) == (model.converged, model.eta, model.horizon)


def test_untrained_model_can_be_saved(random_game: Games, tmp_path: Path) -> None:
    model = model_of(random_game(2))
    model.save(tmp_path / "new" / "folder")
    loaded = AlternatingMARL.load(tmp_path / "new" / "folder")
    assert loaded.history == ()
    assert loaded.learn().potential == model.learn().potential


def test_same_run_writes_the_same_bytes(random_game: Games, tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        model = model_of(random_game(0, n_local=3, discount=0.8), seed=seed)
        model.learn()
        model.save(tmp_path / name)
    for file in FILES:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert (tmp_path / "first" / "history.csv").read_bytes() != (tmp_path / "other" / "history.csv").read_bytes()


def test_saving_again_replaces_the_files(folder: Path, random_game: Games) -> None:
    model = model_of(random_game(5))
    model.save(folder)
    assert AlternatingMARL.load(folder).history == ()
    assert {path.name for path in folder.iterdir()} == FILES


@pytest.mark.parametrize(
    "seed", [np.int64(3), np.array([1, 2]), [1, 2], np.random.SeedSequence(4, spawn_key=(1, 2)), 2**100]
)
def test_every_kind_of_seed_survives(random_game: Games, tmp_path: Path, seed: Any) -> None:
    model = model_of(random_game(0), seed=seed)
    model.save(tmp_path)
    assert (AlternatingMARL.load(tmp_path).seed.generate_state(8) == model.seed.generate_state(8)).all()


def test_numpy_numbers_in_settings_survive(random_game: Games, tmp_path: Path) -> None:
    """As a sweep over arrays passes them."""
    config = AlternatingConfig(
        max_alternations=np.int64(2),  # type: ignore[arg-type] # what is tested
        n_rollouts=np.int32(5),  # type: ignore[arg-type] # what is tested
        eta=np.float32(0.5),  # type: ignore[arg-type] # what is tested
        horizon=np.int64(9),  # type: ignore[arg-type] # what is tested
    )
    learner = GLearner(n_samples=np.int64(3), tolerance=np.float32(0.5))  # type: ignore[arg-type] # what is tested
    setting = Setting(game=random_game(0), n_agents=np.int64(5), k=np.int64(2))  # type: ignore[arg-type] # what is tested
    model_of(setting.game, setting=setting, config=config, global_learner=learner).save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path)
    assert loaded.config == AlternatingConfig(max_alternations=2, n_rollouts=5, eta=0.5, horizon=9)
    assert loaded.global_learner == GLearner(n_samples=3, tolerance=0.5)


def my_learner(problem: Problem) -> Any:
    """A learner of the user's own: proposes what is there."""
    return type("Outcome", (), {"policy": problem.global_policy})()


def test_missing_learner_is_asked_for(random_game: Games, tmp_path: Path) -> None:
    model = model_of(random_game(0), global_learner=my_learner)
    model.save(tmp_path)
    loaded = AlternatingMARL.load(tmp_path)
    message = r"a learner of your own \(.*my_learner\), .* pass it to AlternatingMARL\.load\(.*global_learner=\.\.\."
    with pytest.raises(RuntimeError, match=message):
        loaded.learn()
    # It can be played and saved again without the learner, and learns with it.
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_bytes() == (tmp_path / "config.json").read_bytes()
    complete = AlternatingMARL.load(tmp_path / "again", global_learner=my_learner)
    assert complete.local_learner == LLearner()
    assert complete.learn().potential == model.learn().potential


def test_own_learner_that_shares_our_name_is_not_taken_for_ours(random_game: Games, tmp_path: Path) -> None:
    theirs = type("GLearner", (), {"__call__": lambda _, problem: my_learner(problem)})()
    model_of(random_game(0), global_learner=theirs).save(tmp_path)
    with pytest.raises(RuntimeError, match="a learner of your own"):
        AlternatingMARL.load(tmp_path).learn()


def test_lambda_as_learner_is_described(random_game: Games, tmp_path: Path) -> None:
    model_of(random_game(0), local_learner=lambda problem: problem).save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["local_learner"]["name"].endswith("<lambda>")


PROPOSALS = (
    Proposal(
        step=1,
        player="global",
        potential=0.1,
        proposed_potential=1 / 3,
        standard_error=1e-300,
        verdict="accept",
        learner_iterations=-1,
        learner_converged=True,
        learner_certificate=0.0,
        kept_pair="0123456789abcdef",
    ),
    Proposal(
        step=2,
        player="local",
        potential=1 / 3,
        proposed_potential=-5e17,
        standard_error=0.1 + 0.2,
        verdict="reject",
        learner_iterations=10**12,
        learner_converged=False,
        learner_certificate=float("inf"),
        kept_pair="1e9",
    ),
)


def test_history_round_trips_exactly(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(history_csv(PROPOSALS))
    assert read_history(path) == PROPOSALS
    assert [type(value) for value in asdict(read_history(path)[1]).values()] == [
        *(int, str, float, float, float, str, int, bool, float, str)
    ]
    path.write_text(history_csv(()))
    assert read_history(path) == ()


def test_a_missing_certificate_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(history_csv((replace(PROPOSALS[0], learner_certificate=float("nan")),)))
    assert np.isnan(read_history(path)[0].learner_certificate)


def test_a_run_stopped_while_saving_resumes_bit_for_bit(random_game: Games, tmp_path: Path) -> None:
    """Between any two file writes of any save, as a kill or Ctrl-C may."""
    game = random_game(0, n_local=3, discount=0.8)
    model = model_of(game)
    snapshots = [tmp_path / "start"]
    model.save(snapshots[0])

    def keep(proposal: Proposal) -> None:
        snapshots.append(tmp_path / str(proposal.step))
        model.save(snapshots[-1])

    model.learn(on_proposal=keep)
    accepted = [proposal.verdict == "accept" for proposal in model.history]
    assert any(accepted)
    order = ["game.npz", "history.csv", "global_policy.npz", "local_policy.npz", "config.json"]
    for step, (before, after) in enumerate(pairwise(snapshots), start=1):
        for n_written in range(len(order) + 1):
            torn = shutil.copytree(before, tmp_path / f"torn{step}_{n_written}")
            for name in order[:n_written]:
                shutil.copy(after / name, torn / name)
            resumed = AlternatingMARL.load(torn)
            assert len(resumed.history) in {step - 1, step}
            resumed.learn()
            resumed.save(torn)
            assert all((torn / name).read_bytes() == (snapshots[-1] / name).read_bytes() for name in FILES)


def test_files_are_written_in_the_order_that_makes_it_safe(
    random_game: Games, monkeypatch: Any, tmp_path: Path
) -> None:
    written: list[str] = []
    replace_file = Path.replace
    monkeypatch.setattr(Path, "replace", lambda old, new: (written.append(Path(new).name), replace_file(old, new))[1])
    model_of(random_game(0)).save(tmp_path)
    assert written == ["game.npz", "history.csv", "global_policy.npz", "local_policy.npz", "config.json"]


def another_run(folder: Path) -> None:
    """Policies of the right sizes from elsewhere."""
    table = GlobalPolicy.load(folder / "global_policy.npz").table
    GlobalPolicy(table=1 - table, k=2, n_local_states=3, n_actions=2).save(folder / "global_policy.npz")


def damage_history(old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "history.csv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: _ignore((folder / name).write_bytes(content))


def _ignore(_: object) -> None:
    """Turn a value into None."""


def change_config(**entries: Any) -> Callable[[Path], None]:
    """Replace entries of config.json; None removes one."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        content = json.loads(path.read_text()) | entries
        path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))

    return change


def cut(name: str) -> Callable[[Path], None]:
    """Keep the first half of a file, as after a full disk."""

    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return damage


def drop_line(number: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "history.csv"
        kept = path.read_text().splitlines(keepends=True)
        path.write_text("".join(kept[: number - 1] + kept[number:]))

    return damage


def other_policy(folder: Path) -> None:
    GlobalPolicy(table=np.zeros((2, 4), dtype=int), k=3, n_local_states=2, n_actions=2).save(
        folder / "global_policy.npz"
    )


def other_local_policy(folder: Path) -> None:
    LocalPolicy(np.full((2, 2, 2), 0.5)).save(folder / "local_policy.npz")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("config.json"), r"config\.json is not a JSON file"),
        (write("config.json", b"\xff\xfe\x00"), r"config\.json is not a JSON file"),
        (write("config.json", b"[1, 2]"), r"config\.json must hold an object; it holds a list"),
        (write("config.json", b"{}"), r"config\.json must hold a AlternatingMARL; it holds something else"),
        (change_config(kind="TabularGame"), r"config\.json must hold a AlternatingMARL; it holds TabularGame"),
        (change_config(format_version=99), r"config\.json has format version 99; .* upgrade it"),
        (change_config(k=None), r"config\.json has no entry 'k'; it is damaged"),
        (change_config(k=7), r"config\.json is damaged: k must be between 1 and 6; got 7"),
        (change_config(n_agents="many"), r"config\.json is damaged: n_agents must be an integer; got 'many'"),
        (change_config(seed=5), r"config\.json is damaged: "),
        (change_config(seed={"entropy": "x", "spawn_key": []}), r"config\.json is damaged: "),
        (change_config(config={"eta": -1}), r"config\.json is damaged: eta must be positive"),
        (change_config(config={"speed": 2}), r"config\.json is damaged: .*speed"),
        (
            change_config(global_learner={"name": "GLearner", "operator": "best"}),
            r"config\.json is damaged: operator must be",
        ),
        (change_config(local_learner={}), r"config\.json has no entry 'name'"),
        (cut("game.npz"), r"game\.npz is damaged or not a \.npz file"),
        (write("game.npz", b""), r"game\.npz"),
        (cut("global_policy.npz"), r"global_policy\.npz"),
        (cut("local_policy.npz"), r"local_policy\.npz"),
        (other_policy, r"global_policy\.npz is damaged: the global policy must match the game's"),
        (other_local_policy, r"local_policy\.npz is damaged: the local policy must match the game's"),
        (write("history.csv", b""), r"history\.csv is not a history file"),
        (write("history.csv", b"\xff\xfe\x00"), r"history\.csv is not a history file"),
        (write("history.csv", b"step,player\n"), r"history\.csv must begin with the columns step,player,potential"),
        (cut("history.csv"), r"history\.csv, line \d is damaged"),
        (damage_history("accept", "acept"), r"history\.csv, line \d is damaged \(verdict must be one of"),
        (damage_history("local", "fleet"), r"history\.csv, line \d is damaged \(player must be one of"),
        (damage_history("True", "Tru"), r"history\.csv, line \d is damaged \(learner_converged must be one of"),
        (damage_history("\n1,", "\n0,"), r"history\.csv, line 2 is damaged \(step must be 1; got 0\)"),
        (damage_history("\n1,global,", "\n1,global,x"), r"history\.csv, line 2 is damaged \(could not convert"),
        (another_run, r"the policies in .* are not those of its history\.csv"),
        (drop_line(2), r"history\.csv, line 2 is damaged \(step must be 1; got 2\)"),
    ],
)
def test_damaged_files_are_named(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message):
        AlternatingMARL.load(folder)


@pytest.mark.parametrize("name", sorted(FILES))
def test_missing_files_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name.replace(".", r"\.")):
        AlternatingMARL.load(folder)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        AlternatingMARL.load(tmp_path / "nowhere")
