"""Best responses, the alternating driver, evaluation in the deployed game, equilibria, and what the theorems say."""

from kofn.agents.alternation.alternating import AlternatingMARL
from kofn.agents.alternation.gain_split import GainSplit, split_gain
from kofn.agents.alternation.history import AlternatingConfig, AlternatingResult, Proposal
from kofn.agents.alternation.learners import GLearner, LLearner, Problem
from kofn.agents.alternation.multi_start import MultiStart
from kofn.agents.alternation.multi_start_result import Equilibrium, MultiStartResult
from kofn.agents.alternation.observation_aware_learner import ObservationAware
from kofn.agents.alternation.update import proposal_bound, update_verdict
from kofn.agents.equilibrium.nash import GapBracket, NashGap, nash_gap
from kofn.agents.equilibrium.sampled_gap import SampledGap, SampledNashGap, sampled_nash_gap
from kofn.agents.evaluation import Evaluation, evaluate
from kofn.agents.finite_horizon.backward_induction import (
    NonstationaryPlan,
    backward_induction,
    evaluate_nonstationary,
)
from kofn.agents.finite_horizon.ucfh import UcfhResult, ucfh
from kofn.agents.finite_horizon.ucfh_settings import UcfhConfig
from kofn.agents.global_response.features import Features, IndicatorFeatures, ProductFeatures
from kofn.agents.global_response.g_learn import GLearnResult, g_learn
from kofn.agents.global_response.g_learn_config import GLearnConfig
from kofn.agents.global_response.g_learn_theory import GLearnTheory
from kofn.agents.global_response.global_search import ClimbOutcome, climb_global
from kofn.agents.global_response.linear_g_learn import LinearGLearnConfig, LinearGLearnResult, linear_g_learn
from kofn.agents.global_response.linear_policy import LinearGlobalPolicy
from kofn.agents.global_response.observation_aware.coarse_policy import CoarseGlobalPolicy
from kofn.agents.global_response.observation_aware.config import ObservationAwareConfig
from kofn.agents.global_response.observation_aware.learner import ObservationAwareResult, observation_aware
from kofn.agents.joint_control.central_planner import CentralisedBound, centralised_local_bound
from kofn.agents.joint_control.mfq_execution import JointPolicy, evaluate_mfq
from kofn.agents.joint_control.subsample_mfq import MfqResult, mean_field_value_iteration, subsample_mfq
from kofn.agents.local_response.l_learn import LLearnResult, l_learn
from kofn.agents.local_response.l_learn_config import LLearnConfig
from kofn.agents.logged_data.behaviour import behaviour_mixing_time
from kofn.agents.logged_data.collect import collect_transitions
from kofn.agents.logged_data.estimate_game import GameEstimate, estimate_game
from kofn.agents.logged_data.off_policy import (
    OffPolicyResult,
    StepRule,
    off_policy_g_learn,
    off_policy_in_env,
    off_policy_in_surrogate,
)
from kofn.agents.logged_data.transitions import SpaceSizes, Transitions
from kofn.agents.lumped_chain import LumpedChain
from kofn.agents.sampled_evaluation import evaluate_sampled

__all__ = [
    "AlternatingConfig",
    "AlternatingMARL",
    "AlternatingResult",
    "CentralisedBound",
    "ClimbOutcome",
    "CoarseGlobalPolicy",
    "Equilibrium",
    "Evaluation",
    "Features",
    "GLearnConfig",
    "GLearnResult",
    "GLearnTheory",
    "GLearner",
    "GainSplit",
    "GameEstimate",
    "GapBracket",
    "IndicatorFeatures",
    "JointPolicy",
    "LLearnConfig",
    "LLearnResult",
    "LLearner",
    "LinearGLearnConfig",
    "LinearGLearnResult",
    "LinearGlobalPolicy",
    "LumpedChain",
    "MfqResult",
    "MultiStart",
    "MultiStartResult",
    "NashGap",
    "NonstationaryPlan",
    "ObservationAware",
    "ObservationAwareConfig",
    "ObservationAwareResult",
    "OffPolicyResult",
    "Problem",
    "ProductFeatures",
    "Proposal",
    "SampledGap",
    "SampledNashGap",
    "SpaceSizes",
    "StepRule",
    "Transitions",
    "UcfhConfig",
    "UcfhResult",
    "backward_induction",
    "behaviour_mixing_time",
    "centralised_local_bound",
    "climb_global",
    "collect_transitions",
    "estimate_game",
    "evaluate",
    "evaluate_mfq",
    "evaluate_nonstationary",
    "evaluate_sampled",
    "g_learn",
    "l_learn",
    "linear_g_learn",
    "mean_field_value_iteration",
    "nash_gap",
    "observation_aware",
    "off_policy_g_learn",
    "off_policy_in_env",
    "off_policy_in_surrogate",
    "proposal_bound",
    "sampled_nash_gap",
    "split_gain",
    "subsample_mfq",
    "ucfh",
    "update_verdict",
]
