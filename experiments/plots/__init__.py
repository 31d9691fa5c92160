"""Figures of runs and sweeps, drawn from their tables."""
