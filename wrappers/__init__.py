"""What one sees, and whose view it is: k-of-n observation and single-agent views of a game."""

from kofn.wrappers.best_response import GlobalBestResponse, LocalBestResponse
from kofn.wrappers.subsample import SubsampleObservation

__all__ = ["GlobalBestResponse", "LocalBestResponse", "SubsampleObservation"]
