r"""ALTERNATING-MARL: the two players improve in turn, judged in the deployed game (paper, Algorithm ALTERNATING-MARL).

    (pi_g, pi_l) <- start;  V <- potential of the pair
    for step = 1, 2, ..:  (players alternate, the global agent first)
        proposal <- the player's learner against the current pair
        accept, reject or overlap by UPDATE (see `update`), on the scalar potential Phi of the n-agent game
        stop after one refused proposal from EACH player against the same pair

Phi is estimated by rollouts with common random numbers over a horizon H that leaves out eta/4 at most, the agents seen
through the environment's sampler, as many as a verdict needs (see `rollout_judge`), or, for few agents, computed
exactly (see `judges`). When the learners return epsilon-best responses and the estimates err by at most nu,
neither player can gain more than epsilon + eta + 2 nu by deviating from the final pair.

Every proposal's randomness is named by (seed, step), so that an interrupted run resumes to the same result.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pettingzoo import ParallelEnv
from tqdm import tqdm

from kofn.agents.alternation.history import AlternatingConfig, AlternatingResult, Proposal, pair_digest
from kofn.agents.alternation.judges import ExactJudge, Judge, Judgement
from kofn.agents.alternation.learners import GlobalLearner, LocalLearner, Problem, check_learners, default_learners
from kofn.agents.alternation.model_files import StoredModel, describe_model, load_model, save_model
from kofn.agents.alternation.pairs import Pair, fitting_global, fitting_local, same_pair
from kofn.agents.alternation.rollout_judge import RolloutJudge
from kofn.agents.alternation.setting import Setting
from kofn.agents.alternation.update import Player, proposal_bound, sufficient_horizon
from kofn.agents.global_response.g_learn import check_table
from kofn.envs.arguments import checked_types
from kofn.envs.arrays import integer
from kofn.envs.continuous import ContinuousGame
from kofn.envs.interface import OpenGame
from kofn.envs.observations import Observation
from kofn.envs.streams import Seed, child, seed_sequence
from kofn.wrappers.samplers import Sampler

EVALUATION_STREAM, LEARNER_STREAM, PREDICTION_STREAM, START_STREAM = range(4)


class AlternatingMARL:
    """Alternating learners on one environment.

    Args:
        env: a PopulationEnv, usually limited by SubsampleObservation; gives the game, n, k and the observation format.
        config: settings; omitted: Table 3's.
        global_learner: proposes pi_g; omitted: G-LEARN, or the supervised G-step in a continuous game.
        local_learner: proposes pi_l; omitted: L-LEARN, or TRPO in a continuous game.
        global_policy: start, as object, table or name; omitted: "keep", or "uniform" in a game without arrays.
        local_policy: start, as object, table or name.
        seed: source of all randomness.

    Attributes:
        setting: game, n, k and observation format.
        global_policy, local_policy: the current pair.
        history: proposals so far.

    Raises:
        TypeError, ValueError: an environment that is no population, or an argument out of range.
    """

    _learners_since = 0  # proposals made before one of the players got another learner

    @checked_types
    def __init__(
        self,
        env: ParallelEnv[str, Observation, int] | Setting,
        config: AlternatingConfig | None = None,
        *,
        global_learner: GlobalLearner | None = None,
        local_learner: LocalLearner | None = None,
        global_policy: Any = None,
        local_policy: Any = "uniform",
        seed: Seed = None,
    ) -> None:
        self.setting = env if isinstance(env, Setting) else Setting.of(env)
        self.config = config if config is not None else AlternatingConfig()
        default_global, default_local = default_learners(self.setting.game)
        self.global_learner = global_learner if global_learner is not None else default_global
        self.local_learner = local_learner if local_learner is not None else default_local
        if not isinstance(self.setting.game, ContinuousGame):
            check_table(self.setting.game, self.setting.k)
        if self.eta == 0:
            raise ValueError("all returns of the game are equal, so eta must be given: AlternatingConfig(eta=...)")
        check_learners((self.global_learner, self.local_learner), self.setting.game, self.setting.k)
        self._root = seed_sequence(seed)
        self.global_policy = fitting_global(global_policy, self.setting, child(self._root, START_STREAM, 0))
        self.local_policy = fitting_local(local_policy, self.setting, child(self._root, START_STREAM, 1))
        self.history: tuple[Proposal, ...] = ()
        self._start_pair = pair_digest(self.global_policy, self.local_policy)
        self._prediction = np.random.default_rng(child(self._root, PREDICTION_STREAM))
        self._judge()  # says now rather than in `learn` what it cannot judge

    @property
    def eta(self) -> float:
        """Gain below which a proposal is refused."""
        return self.config.eta if self.config.eta is not None else 0.005 * self.setting.game.value_bound

    @property
    def horizon(self) -> int:
        """Steps per rollout when the potential is estimated."""
        if self.config.horizon is not None:
            return self.config.horizon
        return sufficient_horizon(self.setting.game.return_bound, self.setting.game.discount, self.eta / 4)

    @property
    def converged(self) -> bool:
        """Whether the last proposal of each player's present learner was refused, against the same pair."""
        asked = len(self.history) >= self._learners_since + 2
        return asked and all(proposal.verdict != "accept" for proposal in self.history[-2:])

    def learn(
        self,
        *,
        progress_bar: bool = False,
        on_proposal: Callable[[Proposal], None] | None = None,
        until: int | None = None,
    ) -> AlternatingResult:
        """Alternate until both players' proposals are refused or `max_alternations` is reached.

        An interrupted call leaves the model at its last finished proposal; calling again goes on from there.

        Args:
            progress_bar: show one (on a terminal).
            on_proposal: called after every proposal (to save, log or plot).
            until: proposals in all after which to pause; omitted: do not.
        """
        began = time.perf_counter()
        judge = self._judge()
        current = judge.judge(self.global_policy, self.local_policy)
        total = 2 * self.config.max_alternations
        with tqdm(  # few and worth reading: each is drawn, however soon it follows the last
            total=total,
            initial=len(self.history),
            disable=None if progress_bar else True,
            desc="proposals",
            mininterval=0,
        ) as bar:
            for player in self._turns(total if until is None else min(total, integer("until", until, 0))):
                current, proposal = self._propose(player, current, judge)
                self.history = (*self.history, proposal)
                bar.set_postfix_str(f"{player}: {proposal.verdict}, potential {current.so_far[0]:.2f}", refresh=False)
                bar.update()
                if on_proposal is not None:
                    on_proposal(proposal)
        return self._result(current, time.perf_counter() - began)

    def _turns(self, total: int) -> Iterator[Player]:
        """Whose turn it is, until the alternation stops."""
        while len(self.history) < total and not self.converged:
            yield "global" if len(self.history) % 2 == 0 else "local"

    def _propose(self, player: Player, current: Judgement, judge: Judge) -> tuple[Judgement, Proposal]:
        """One proposal: the judgement of the pair kept, and the line for the history."""
        kept = (self.global_policy, self.local_policy)
        pair, response = self._respond(player)
        proposed = current if same_pair(pair, kept) else judge.judge(*pair)
        found = judge.compare(current, proposed, self.eta / 2)
        kept = pair if found.verdict == "accept" else kept
        proposal = Proposal(
            step=len(self.history) + 1,
            player=player,
            potential=found.potential,
            proposed_potential=found.proposed_potential,
            standard_error=found.standard_error,
            verdict=found.verdict,
            learner_iterations=int(getattr(response, "n_iterations", -1)),
            learner_converged=bool(getattr(response, "converged", True)),
            learner_certificate=float(getattr(response, "certificate", float("nan"))),
            kept_pair=pair_digest(*kept),
        )
        self.global_policy, self.local_policy = kept
        return (proposed if found.verdict == "accept" else current), proposal

    def _respond(self, player: Player) -> tuple[Pair, object]:
        """The pair a player proposes, and its learner's outcome."""
        problem = Problem(
            game=self.setting.game,
            n_agents=self.setting.n_agents,
            k=self.setting.k,
            global_policy=self.global_policy,
            local_policy=self.local_policy,
            seed=child(self._root, LEARNER_STREAM, len(self.history)),
            sampler=self.setting.sampler,
            player=player,
            max_cycles=self.setting.max_cycles,
        )
        if player == "global":
            global_response = self.global_learner(problem)
            return (fitting_global(global_response.policy, self.setting), self.local_policy), global_response
        local_response = self.local_learner(problem)
        return (self.global_policy, fitting_local(local_response.policy, self.setting)), local_response

    def _judge(self) -> Judge:
        """What values the pairs of this run."""
        if self.config.evaluation == "exact":
            return ExactJudge(setting=self.setting, comparison=self.config.comparison)
        return RolloutJudge(
            setting=self.setting,
            horizon=self.horizon,
            n_rollouts=self.config.n_rollouts,
            seed=child(self._root, EVALUATION_STREAM),
        )

    def _result(self, current: Judgement, wall_time: float) -> AlternatingResult:
        return AlternatingResult(
            global_policy=self.global_policy,
            local_policy=self.local_policy,
            potential=current.potential,
            standard_error=current.standard_error,
            history=self.history,
            converged=self.converged,
            eta=self.eta,
            proposal_bound=proposal_bound(self.setting.game.value_bound, self.eta),
            wall_time=wall_time,
        )

    def predict(self, observations: dict[str, Observation], deterministic: bool = True) -> dict[str, int]:
        """Actions for the agents of an observation dict of the environment.

        Args:
            observations: as the environment returns them, for any subset of its agents.
            deterministic: take each policy's most likely action; otherwise draw.
        """
        rng = None if deterministic else self._prediction
        return self.setting.act(self.global_policy, self.local_policy, observations, rng)

    def save(self, folder: str | Path) -> None:
        """Write game, policies, configuration and history to a folder (no pickle), replacing what is there.

        A game without arrays is not written: pass it to `load`.
        """
        save_model(self.stored(), Path(folder))

    @property
    def seed(self) -> np.random.SeedSequence:
        """The root of all randomness."""
        return self._root

    def description(self) -> dict[str, Any]:
        """What fixes the run, as JSON values: sizes, observation format, settings, learners, seed."""
        return describe_model(self.stored())

    def stored(self) -> StoredModel:
        """The model's state as it is written to disk."""
        return StoredModel(
            setting=self.setting,
            config=self.config,
            global_learner=self.global_learner,
            local_learner=self.local_learner,
            global_policy=self.global_policy,
            local_policy=self.local_policy,
            start_pair=self._start_pair,
            history=self.history,
            learners_since=self._learners_since,
            seed=self._root,
        )

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        game: OpenGame | None = None,
        global_learner: GlobalLearner | None = None,
        local_learner: LocalLearner | None = None,
        sampler: Sampler | str | None = None,
    ) -> "AlternatingMARL":
        """Read a model written by `save`.

        Args:
            folder: where it is.
            game: the model's game where it has no arrays: functions are not stored.
            global_learner: to go on with: one of your own, which is not stored, or another. Where a learner is another,
                both are asked again, as far as `max_alternations` goes.
            local_learner: likewise.
            sampler: one of your own, which is not stored, to go on learning with.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is damaged, or `game` is missing or not wanted.
        """
        stored = load_model(Path(folder), game).going_on_with(global_learner, local_learner, sampler)
        model = cls(
            stored.setting,
            stored.config,
            global_learner=stored.global_learner,
            local_learner=stored.local_learner,
            global_policy=stored.global_policy,
            local_policy=stored.local_policy,
            seed=stored.seed,
        )
        model._start_pair, model._learners_since = stored.start_pair, stored.learners_since
        model.history = stored.history
        return model
