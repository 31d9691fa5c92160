r"""Alternation from several starts: observation-aware responses, every equilibrium found, the best one kept.

A game of this kind has many equilibria, and which one an alternation ends in is decided by where it begins. Starts:

    paper       ALTERNATING-MARL with the paper's learners, from ("keep", uniform): the yardstick
    from_paper  observation-aware learners from the pair that "paper" ends with: what better responses alone bring
    uniform     "keep" and the uniform fleet
    chase       "keep" and the fleet that goes where s_g is (`kofn.agents.starts`)
    focal_z     the fleet that acts as if s_g were z, and the constant dispatcher for z: one convention for every z

All conventions are valued as they stand; beside the best three the dispatcher gets one response; the best of these
pairs alternates to its end. Where the others paused is listed too.

Each is an `AlternatingMARL` of its own, so everything that is said of one holds here. Their ends are evaluated in the
n-agent game on common random numbers that no alternation has used, and the best is kept (`multi_start_selection`).
`paper` is among them: up to the error of that evaluation the result is never below the paper's method.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from kofn.agents.alternation.alternating import AlternatingMARL
from kofn.agents.alternation.history import AlternatingConfig, Proposal
from kofn.agents.alternation.judges import ExactJudge, Judge
from kofn.agents.alternation.learners import GLearner, GlobalLearner, LLearner, LocalLearner, MissingLearner
from kofn.agents.alternation.multi_start_files import forget_starts, read_done, write_equilibria, write_starts
from kofn.agents.alternation.multi_start_result import MultiStartResult
from kofn.agents.alternation.multi_start_selection import value_ends
from kofn.agents.alternation.observation_aware_learner import ObservationAware, aware_fleet
from kofn.agents.alternation.rollout_judge import RolloutJudge
from kofn.agents.alternation.setting import Setting
from kofn.agents.starts import chase, focal, heading_to
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer
from kofn.envs.game import TabularGame
from kofn.envs.generative import sampled_game
from kofn.envs.histograms import n_histograms
from kofn.envs.observations import Observation
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.streams import Seed, child, seed_sequence

STARTS = ("paper", "from_paper", "uniform", "chase")
"""Starts that alternate to their end; the conventions follow."""

CONVENTION = "focal_{}"

SELECTION_STREAM, FOCAL_STREAM, GAME_STREAM, START_STREAM = range(10, 14)
"""Streams of the seed, apart from those that an alternation uses."""

CONVENTIONS = 3
"""Conventions beside which the dispatcher responds."""

FOCAL_ROLLOUTS = 200
ROLLOUTS = 500
"""Rollouts per estimate while the alternations run; their ends are told apart by more."""

ORACLE_DRAWS = 1000
"""Draws per row from which the starts in a game given as functions are made."""

MANY_HISTOGRAMS = 2000

FINE_ETA = 5e-4
"""Gain below which a proposal is refused by default, as a fraction of r~/(1-gamma)."""

Pair = tuple[GlobalPolicy, LocalPolicy]


def _papers(setting: Setting) -> tuple[GLearner, LLearner]:
    """The paper's learners; where k agents have many histograms the fleet plans for the crowd of `aware_fleet`."""
    many = n_histograms(setting.k, setting.game.n_local_states) > MANY_HISTOGRAMS
    return GLearner(), aware_fleet(setting.game, setting.n_agents) if many else LLearner()


def _convention_of(name: str) -> int:
    """Z of the start focal_z."""
    return int(name.removeprefix(CONVENTION.format("")))


class MultiStart:
    """Alternations from several starts on one environment.

    Args:
        env: a PopulationEnv, usually limited by SubsampleObservation, or a Setting.
        config: settings of every alternation; omitted: the driver's, with fewer rollouts. Where it names no eta, only
            "paper" has the driver's; the others accept gains of 0.05% of r~/(1-gamma).
        global_learner: proposes pi_g (not from "paper"); omitted: `ObservationAware`.
        local_learner: proposes pi_l (not from "paper"); omitted: `aware_fleet`.
        paper_learners: the learners of "paper"; omitted: G-LEARN and L-LEARN, the latter on a small crowd that stands
            for many (`aware_fleet`) where k agents have more than 2000 histograms.
        n_rollouts: rollouts by which the best end is chosen, unless `config` evaluates exactly.
        seed: source of all randomness.

    Attributes:
        setting: game, n, k and observation format.
        models: the alternations begun so far, by start.
        best: the alternation kept; before the end of `learn`, the first one.
    """

    @checked_types
    def __init__(
        self,
        env: ParallelEnv[str, Observation, int] | Setting,
        config: AlternatingConfig | None = None,
        *,
        global_learner: GlobalLearner | None = None,
        local_learner: LocalLearner | None = None,
        paper_learners: tuple[GlobalLearner, LocalLearner] | None = None,
        n_rollouts: int = 4000,
        seed: Seed = None,
    ) -> None:
        self.setting = env if isinstance(env, Setting) else Setting.of(env)
        self.paper_config = config if config is not None else AlternatingConfig(n_rollouts=ROLLOUTS)
        fine = FINE_ETA * self.setting.game.value_bound
        given = self.paper_config.eta is not None or fine == 0
        self.config = self.paper_config if given else replace(self.paper_config, eta=fine)
        self.global_learner = global_learner if global_learner is not None else ObservationAware()
        fleet = local_learner if local_learner is not None else aware_fleet(self.setting.game, self.setting.n_agents)
        self.local_learner = fleet
        if paper_learners is not None and (
            not isinstance(paper_learners, tuple) or len(paper_learners) != 2 or not all(map(callable, paper_learners))
        ):
            raise TypeError(f"paper_learners must be a tuple of two learners; got {paper_learners!r}")
        self.paper_learners = paper_learners if paper_learners is not None else _papers(self.setting)
        self.n_rollouts = integer("n_rollouts", n_rollouts, 2)
        self._root = seed_sequence(seed)
        self._folder: Path | None = None
        self.models: dict[str, AlternatingMARL] = {}
        self.best = self._open("paper")

    @property
    def seed(self) -> np.random.SeedSequence:
        """The root of all randomness."""
        return self._root

    @property
    def global_policy(self) -> GlobalPolicy:
        """Pi_g of the best pair."""
        policy: GlobalPolicy = self.best.global_policy
        return policy

    @property
    def local_policy(self) -> LocalPolicy:
        """Pi_l of the best pair."""
        policy: LocalPolicy = self.best.local_policy
        return policy

    @property
    def history(self) -> tuple[Proposal, ...]:
        """Proposals of the alternation that led to the best pair."""
        return self.best.history

    def learn(
        self, *, progress_bar: bool = False, on_proposal: Callable[[Proposal], None] | None = None
    ) -> MultiStartResult:
        """Alternate from every start, and keep the best end.

        An interrupted call leaves every alternation at its last finished proposal; calling again goes on from there.

        Args:
            progress_bar: show one per start (on a terminal).
            on_proposal: called after every proposal (to save, log or plot).
        """
        began = time.perf_counter()
        options: dict[str, Any] = {"progress_bar": progress_bar, "on_proposal": on_proposal}
        outcomes = {name: self._open(name).learn(**options) for name in STARTS}
        tried = {name: self._open(name).learn(until=1, **options) for name in self._conventions()}
        focal_best = max(tried, key=lambda name: tried[name].potential)
        outcomes |= {**tried, focal_best: self._open(focal_best).learn(**options)}
        judge = self._fresh_judge(SELECTION_STREAM, self.n_rollouts)
        equilibria, best = value_ends(outcomes, judge, paused=set(tried) - {focal_best})
        self.best = self.models[best]
        result = MultiStartResult(
            equilibria=equilibria, best=best, outcome=outcomes[best], wall_time=time.perf_counter() - began
        )
        if self._folder is not None:
            write_equilibria(self._folder, equilibria)
        return result

    def _conventions(self) -> list[str]:
        """The conventions to respond to, in the order of s_g: those worth most as they stand."""
        judge = self._fresh_judge(FOCAL_STREAM, FOCAL_ROLLOUTS)
        names = [CONVENTION.format(z) for z in range(self.setting.game.n_global_states)]
        values = {name: judge.judge(*self._pair(name)).potential for name in names}
        best = sorted(names, key=lambda name: -values[name])[:CONVENTIONS]
        return [name for name in names if name in best]

    def _fresh_judge(self, stream: int, n_rollouts: int) -> Judge:
        """A judge that no alternation has used; exact where theirs is."""
        if self.config.evaluation == "exact":
            return ExactJudge(setting=self.setting)
        horizon = self._open("paper").horizon
        return RolloutJudge(
            setting=self.setting, horizon=horizon, n_rollouts=n_rollouts, seed=child(self._root, stream)
        )

    def _open(self, name: str) -> AlternatingMARL:
        """The alternation of a start: in progress, as the folder has it, or new."""
        if name not in self.models:
            model = self._stored(name)
            self.models[name] = model if model is not None else self._begin(name)
        return self.models[name]

    def _stored(self, name: str) -> AlternatingMARL | None:
        """The alternation as the folder has it, with this run's learners where they are the user's own."""
        game = self.setting.game
        model = None
        if self._folder is not None:
            model = read_done(self._folder, name, None if isinstance(game, TabularGame) else game)
        if model is not None:
            for side, learner in zip(("global_learner", "local_learner"), self._learners(name), strict=True):
                if isinstance(getattr(model, side), MissingLearner):
                    setattr(model, side, learner)
        return model

    def _learners(self, name: str) -> tuple[GlobalLearner, LocalLearner]:
        return self.paper_learners if name == "paper" else (self.global_learner, self.local_learner)

    def _begin(self, name: str) -> AlternatingMARL:
        learners, start = self._learners(name), self._pair(name)
        position = STARTS.index(name) if name in STARTS else len(STARTS) + _convention_of(name)
        return AlternatingMARL(
            self.setting,
            self.paper_config if name == "paper" else self.config,
            global_learner=learners[0],
            local_learner=learners[1],
            global_policy=start[0],
            local_policy=start[1],
            seed=child(self._root, START_STREAM, position),
        )

    def _pair(self, name: str) -> tuple[GlobalPolicy | None, LocalPolicy | str]:
        """The pair a start begins with; None: the driver's own dispatcher."""
        if name in {"paper", "uniform"}:
            return None, "uniform"
        if name == "from_paper":
            paper = self._open("paper")
            return paper.global_policy, paper.local_policy
        game, k = self._arrays, self.setting.k
        if name == "chase":
            return GlobalPolicy.named("keep", game, k), chase(game)
        z = _convention_of(name)
        return heading_to(game, k, z), focal(game, z)

    @cached_property
    def _arrays(self) -> TabularGame:
        """The game's arrays, estimated where it is given as functions."""
        game = self.setting.game
        if isinstance(game, TabularGame):
            return game
        return sampled_game(game, ORACLE_DRAWS, child(self._root, GAME_STREAM))

    def predict(self, observations: dict[str, Observation], deterministic: bool = True) -> dict[str, int]:
        """Actions of the best pair; see `AlternatingMARL.predict`."""
        return self.best.predict(observations, deterministic)

    def save(self, folder: str | Path) -> None:
        """Write all alternations to a folder, the best one for `AlternatingMARL.load`; see `multi_start_files`.

        A folder that this run was neither saved to nor resumed from loses the alternations it holds, and no other file.
        """
        folder = Path(folder)
        if self._folder != folder:
            forget_starts(folder)
        self._folder = folder
        write_starts(folder, self.models, self.best)

    def description(self) -> dict[str, Any]:
        """What fixes the run, as JSON values."""
        described = self._open("paper").description()
        aware = self._describe("uniform")
        return {**described, "aware": {side: aware[side] for side in ("global_learner", "local_learner")}}

    def _describe(self, name: str) -> dict[str, Any]:
        return (self.models[name] if name in self.models else self._begin(name)).description()

    def resume(self, folder: str | Path) -> None:
        """Go on from what `save` has written to a folder.

        Raises:
            ValueError: it holds no such run, or one with other settings.
        """
        wanted = self.description()
        self._folder, self.models = Path(folder), {}
        stored = self._stored("paper")
        if stored is None:
            raise ValueError(f"{folder} holds no run from several starts; use another --folder, or --overwrite")
        self.best = self.models["paper"] = stored
        found = self.description()
        for name, value in wanted.items():
            if found[name] != value:
                raise ValueError(
                    f"{folder} holds a run with {name}={found[name]}, not {value}; use its settings or another --folder"
                )
