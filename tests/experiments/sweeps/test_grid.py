"""Cells: every combination once, named by what fixes their outcome."""

from dataclasses import replace
from pathlib import Path

import pytest

from kofn.agents import AlternatingConfig, GLearner, LLearner, ObservationAware
from kofn.experiments.config import SweepConfig, TrainConfig
from kofn.experiments.sweep_command import parse_vary, sweep_tasks
from kofn.experiments.sweeps.cells import CellOutcome
from kofn.experiments.sweeps.folder import write_tables
from kofn.experiments.sweeps.grid import cell_hash, describe, grid, option_fields, varied_fields

BASE = TrainConfig(game="formation")


def test_a_grid_is_every_combination_the_last_field_fastest():
    tasks = grid(BASE, {"k": [1, 2], "alternation.eta": [0.5, None], "seed": range(2)})
    found = [(task.k, task.alternation.eta, task.seed) for task in tasks]
    assert found == [(k, eta, seed) for k in (1, 2) for eta in (0.5, None) for seed in (0, 1)]
    assert varied_fields([describe(task) for task in tasks]) == ["alternation.eta"]


def test_the_hash_names_what_fixes_the_outcome_and_nothing_else():
    name = cell_hash(describe(BASE))
    assert cell_hash(describe(replace(BASE, k=5, n_agents=14))) == name  # the game's defaults, written out
    assert cell_hash(describe(replace(BASE, folder=Path("elsewhere"), progress_bar=False))) == name
    for changed in (replace(BASE, seed=1), replace(BASE, k=4), replace(BASE, n_rollouts=100)):
        assert cell_hash(describe(changed)) != name


def test_the_command_line_makes_a_cell_per_combination():
    config = SweepConfig(
        games=("formation", "gaussian_squeeze"), k=(1, 2), seeds=2, first_seed=5, vary=("alternation.eta=0.5,1",)
    )
    tasks = sweep_tasks(config)
    assert len({cell_hash(describe(task)) for task in tasks}) == len(tasks) == 2 * 2 * 2 * 2
    assert {task.seed for task in tasks} == {5, 6}
    assert {task.alternation.eta for task in tasks} == {0.5, 1}


def test_every_learners_settings_reach_the_cells():
    learners = {
        "alternation": AlternatingConfig(eta=0.5),
        "aware": ObservationAware(n_particles=7),
        "global_learner": GLearner(tolerance=0.5),
        "local_learner": LLearner(method="mean_field"),
    }
    (cell,) = sweep_tasks(SweepConfig(games=("formation",), seeds=1, **learners))
    assert {name: getattr(cell, name) for name in learners} == learners


def test_values_on_the_command_line_are_read_as_json_or_text():
    assert parse_vary(("a.b=1,2.5,true,null", "c=exact")) == {"a.b": [1, 2.5, True, None], "c": ["exact"]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kay": [1]}, r"field must be one of 'game', 'k', .*got 'kay'"),
        ({"alternation.etta": [1]}, "did you mean 'alternation.eta'"),
        ({"folder": ["x"]}, "field must be one of"),
        ({"k": []}, "k needs at least one value"),
        ({"learner": ["papper"]}, "learner must be one of .*did you mean 'paper'"),
        ({"alternation.eta": [-1]}, "eta must be positive"),
    ],
)
def test_a_grid_refuses_unknown_fields_and_bad_values(values, message):
    with pytest.raises(ValueError, match=message):
        grid(BASE, values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("alternation.eta",), "vary must be FIELD=VALUE"),
        (("a=1", "a=2"), "vary names a twice"),
        (("seed=10,20",), "vary must not name seed, which every sweep sets; use --first-seed and --seeds"),
        (("learner=paper",), "vary must not name learner, .* use --learner"),
        (("game=formation",), "vary must not name game, .* name the games first"),
        (("options=3",), r"vary must name one option, options.NAME=VALUE,VALUE,..; got 'options=3'"),
    ],
)
def test_settings_to_vary_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        parse_vary(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": (3,), "vary": ("k=1,2",)}, r"k is given twice: \(3,\) and in --vary; leave out one of them"),
        ({"n_agents": (3,), "vary": ("n_agents=5,6",)}, "n_agents is given twice"),
        ({"max_cycles": 3, "vary": ("max_cycles=5,6",)}, "max_cycles is given twice: 3 and in --vary"),
        ({"options": {"discount": 0.5}, "vary": ("options.discount=0.8",)}, r"options.discount is given twice: 0.5"),
        (
            {"alternation": AlternatingConfig(eta=0.5), "vary": ("k=1", "alternation.eta=1")},
            r"alternation.eta is given twice: 0.5 and in --vary",
        ),
    ],
)
def test_a_setting_that_is_given_twice_is_refused(settings, message):
    """One of the two would be ignored."""
    with pytest.raises(ValueError, match=message):
        sweep_tasks(SweepConfig(games=("formation",), **settings))


def test_a_sweep_trains_what_a_single_run_trains_by_default():
    (cell,) = sweep_tasks(SweepConfig(games=("formation",), seeds=1))
    assert cell.learner == TrainConfig(game="formation").learner == "observation_aware"


def test_an_unknown_game_is_refused_before_anything_starts():
    with pytest.raises(ValueError, match="did you mean 'formation'"):
        sweep_tasks(SweepConfig(games=("formatoin",)))


@pytest.mark.parametrize("spelled_out", [{"discount": 0.9}, {}])
def test_the_table_is_the_same_whether_or_not_defaults_are_spelled_out(spelled_out, tmp_path):
    """Also where only some cells do so, as in a sweep that was extended."""
    tasks = grid(BASE, {"seed": range(2)})
    descriptions = [describe(task) for task in (tasks[0], replace(tasks[1], options=spelled_out))]
    assert varied_fields(descriptions) == option_fields(descriptions) == []
    outcome = CellOutcome(row={"return": 1.0, "standard_error": 0.1}, timing={}, history=[], episode={})
    cells = {cell_hash(description): description for description in descriptions}
    write_tables(tmp_path, cells, dict.fromkeys(cells, outcome))
    header = (tmp_path / "results.csv").read_text().splitlines()[0]
    assert header == "cell,game,learner,k,n_agents,max_cycles,seed,return,standard_error"


def test_a_default_stands_in_the_column_of_an_option_that_is_varied(tmp_path):
    """In a cell that does not name it, too; another game has none."""
    warehouse = TrainConfig(game="warehouse_dispatch")
    tasks = [warehouse, replace(warehouse, options={"n_zones": 3}), BASE]
    cells = {cell_hash(describe(task)): describe(task) for task in tasks}
    assert varied_fields(list(cells.values())) == ["options.n_zones"]
    outcome = CellOutcome(row={"return": 1.0, "standard_error": 0.1}, timing={}, history=[], episode={})
    write_tables(tmp_path, cells, dict.fromkeys(cells, outcome))
    header, *lines = (line.split(",") for line in (tmp_path / "results.csv").read_text().splitlines())
    assert [line[header.index("options.n_zones")] for line in lines] == ["5", "3", ""]


def test_integers_for_options_that_are_floats_name_the_same_cell():
    config = SweepConfig(games=("constrained_exploration",), seeds=1, vary=("options.pull=1,1.0,0,0.0",))
    descriptions = [describe(task) for task in sweep_tasks(config)]
    assert len({cell_hash(description) for description in descriptions}) == 2
    assert [repr(description["options"]["pull"]) for description in descriptions] == ["1.0", "1.0", "0.0", "0.0"]
