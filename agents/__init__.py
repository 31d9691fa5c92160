"""Best responses, the alternating driver, and evaluation in the deployed game."""

from kofn.agents.alternating import AlternatingMARL
from kofn.agents.evaluation import Evaluation, evaluate
from kofn.agents.g_learn import GLearnResult, g_learn
from kofn.agents.history import AlternatingConfig, AlternatingResult, Proposal
from kofn.agents.l_learn import LLearnResult, l_learn
from kofn.agents.learners import GLearner, LLearner, Problem
from kofn.agents.update import proposal_bound, update_verdict

__all__ = [
    "AlternatingConfig",
    "AlternatingMARL",
    "AlternatingResult",
    "Evaluation",
    "GLearnResult",
    "GLearner",
    "LLearnResult",
    "LLearner",
    "Problem",
    "Proposal",
    "evaluate",
    "g_learn",
    "l_learn",
    "proposal_bound",
    "update_verdict",
]
