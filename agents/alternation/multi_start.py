r"""Alternation from several starts: observation-aware responses, every equilibrium found, the best one kept.

A game of this kind has many equilibria, and which one an alternation ends in is decided by where it begins. Starts:

    paper       ALTERNATING-MARL with the paper's learners, from ("keep", uniform): the yardstick
    from_paper  observation-aware learners from the pair that "paper" ends with: what better responses alone bring
    uniform     "keep" and the uniform fleet
    chase       "keep" and the fleet that goes where s_g is (`kofn.agents.starts`)
    focal       the fleet that acts as if s_g were z, and the constant dispatcher for z; z the one whose pair, as it
                stands, is worth most

Each is an `AlternatingMARL` of its own, so everything that is said of one holds here. Their ends are evaluated in the
n-agent game on common random numbers that no alternation has used, and the best is kept. `paper` is among them: up to
the error of that evaluation the result is never below the paper's method.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv

from kofn.agents.alternation.alternating import AlternatingMARL
from kofn.agents.alternation.history import AlternatingConfig, AlternatingResult, Proposal
from kofn.agents.alternation.judges import RolloutJudge, same_pair
from kofn.agents.alternation.learners import GLearner, GlobalLearner, LLearner, LocalLearner
from kofn.agents.alternation.multi_start_files import read_done, write_equilibria
from kofn.agents.alternation.multi_start_result import Equilibrium, MultiStartResult
from kofn.agents.alternation.observation_aware_learner import ObservationAware, aware_fleet
from kofn.agents.alternation.setting import Setting
from kofn.agents.starts import chase, focal, heading_to
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer
from kofn.envs.game import TabularGame
from kofn.envs.generative import sampled_game
from kofn.envs.observations import Observation
from kofn.envs.policies import GlobalPolicy, LocalPolicy
from kofn.envs.population import n_histograms
from kofn.envs.streams import Seed, child, seed_sequence

STARTS = ("paper", "from_paper", "uniform", "chase", "focal")

SELECTION_STREAM, FOCAL_STREAM, GAME_STREAM, START_STREAM = range(10, 14)
"""Streams of the seed, apart from those that an alternation uses."""

FOCAL_ROLLOUTS = 200
ROLLOUTS = 1000
"""Rollouts per estimate while the alternations run; their ends are told apart by more."""

ORACLE_DRAWS = 1000
"""Draws per row from which the starts in a game given as functions are made."""

MANY_HISTOGRAMS = 2000

FINE_ETA = 5e-4
"""Gain below which a proposal is refused by default, as a fraction of r~/(1-gamma)."""

Pair = tuple[GlobalPolicy, LocalPolicy]


def _papers(setting: Setting) -> tuple[GLearner, LLearner]:
    """The paper's learners; the fleet's exact chain takes minutes where its histograms are many."""
    many = n_histograms(setting.k, setting.game.n_local_states) > MANY_HISTOGRAMS
    return GLearner(), LLearner(operator="monte_carlo" if many else "auto")


class MultiStart:
    """Alternations from several starts on one environment.

    Args:
        env: a PopulationEnv, usually limited by SubsampleObservation, or a Setting.
        config: settings of every alternation; omitted: the driver's, with fewer rollouts. Where it names no eta, only
            "paper" has the driver's; the others accept gains of 0.05% of r~/(1-gamma).
        global_learner: proposes pi_g (not from "paper"); omitted: `ObservationAware`.
        local_learner: proposes pi_l (not from "paper"); omitted: `aware_fleet`.
        paper_learners: the learners of "paper"; omitted: G-LEARN and L-LEARN, the latter sampled where k agents
            have more than 2000 histograms.
        n_rollouts: rollouts by which the best end is chosen.
        seed: source of all randomness.

    Attributes:
        setting: game, n, k and observation format.
        models: the alternations begun so far, by start.
        best: the alternation kept; before `learn`, the first one.
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
        outcomes = {}
        for name in STARTS:
            model = self._open(name)
            outcomes[name] = model.learn(progress_bar=progress_bar, on_proposal=on_proposal)
        equilibria = self._equilibria(outcomes)
        best = max(equilibria, key=lambda equilibrium: equilibrium.potential).start
        self.best = self.models[best]
        result = MultiStartResult(
            equilibria=equilibria, best=best, outcome=outcomes[best], wall_time=time.perf_counter() - began
        )
        if self._folder is not None:
            write_equilibria(self._folder, equilibria)
        return result

    def _equilibria(self, outcomes: dict[str, AlternatingResult]) -> tuple[Equilibrium, ...]:
        """The ends, evaluated on random numbers of their own."""
        judge = self._fresh_judge(SELECTION_STREAM, self.n_rollouts)
        found: list[Equilibrium] = []
        for name, outcome in outcomes.items():
            pair = (outcome.global_policy, outcome.local_policy)
            twin = next((one for one in found if same_pair(pair, (one.global_policy, one.local_policy))), None)
            judged = judge.judge(*pair) if twin is None else twin
            found.append(
                Equilibrium(
                    start=name,
                    global_policy=pair[0],
                    local_policy=pair[1],
                    potential=judged.potential,
                    standard_error=judged.standard_error,
                    converged=outcome.converged,
                    n_proposals=outcome.n_iterations,
                    same_as=twin.start if twin is not None else "",
                )
            )
        return tuple(found)

    def _fresh_judge(self, stream: int, n_rollouts: int) -> RolloutJudge:
        horizon = self._open("paper").horizon
        return RolloutJudge(
            setting=self.setting, horizon=horizon, n_rollouts=n_rollouts, seed=child(self._root, stream)
        )

    def _open(self, name: str) -> AlternatingMARL:
        """The alternation of a start: in progress, as the folder has it, or new."""
        if name not in self.models:
            stored = read_done(self._folder, name) if self._folder is not None else None
            self.models[name] = stored if stored is not None else self._begin(name)
        return self.models[name]

    def _begin(self, name: str) -> AlternatingMARL:
        learners = self.paper_learners if name == "paper" else (self.global_learner, self.local_learner)
        start = self._pair(name)
        return AlternatingMARL(
            self.setting,
            self.paper_config if name == "paper" else self.config,
            global_learner=learners[0],
            local_learner=learners[1],
            global_policy=start[0],
            local_policy=start[1],
            seed=child(self._root, START_STREAM, STARTS.index(name)),
        )

    def _pair(self, name: str) -> tuple[GlobalPolicy | None, LocalPolicy | str]:
        """The pair a start begins with; None: the driver's own dispatcher."""
        if name in {"paper", "uniform"}:
            return None, "uniform"
        if name == "from_paper":
            paper = self._open("paper")
            return paper.global_policy, paper.local_policy
        game = self._arrays()
        if name == "chase":
            return GlobalPolicy.named("keep", game, self.setting.k), chase(game)
        pairs = [(heading_to(game, self.setting.k, z), focal(game, z)) for z in range(game.n_global_states)]
        judge = self._fresh_judge(FOCAL_STREAM, FOCAL_ROLLOUTS)
        return max(pairs, key=lambda pair: judge.judge(*pair).potential)

    def _arrays(self) -> TabularGame:
        """The game's arrays, estimated where it is given as functions."""
        game = self.setting.game
        return (
            game if isinstance(game, TabularGame) else sampled_game(game, ORACLE_DRAWS, child(self._root, GAME_STREAM))
        )

    def predict(self, observations: dict[str, Observation], deterministic: bool = True) -> dict[str, int]:
        """Actions of the best pair; see `AlternatingMARL.predict`."""
        return self.best.predict(observations, deterministic)

    def save(self, folder: str | Path) -> None:
        """Write the best alternation to a folder, for `AlternatingMARL.load`, and all of them below its `starts`."""
        folder = Path(folder)
        for name, model in self.models.items():
            model.save(folder / "starts" / name)
        self.best.save(folder)
        self._folder = folder

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
            ValueError: it holds a run with other settings.
        """
        self._folder = Path(folder)
        wanted = self.description()
        self.models = {}
        self.best = self._open("paper")
        found = self.description()
        for name, value in wanted.items():
            if found[name] != value:
                raise ValueError(
                    f"{folder} holds a run with {name}={found[name]}, not {value}; use its settings or another --folder"
                )
