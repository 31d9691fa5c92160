"""Sweeps: many configurations trained side by side, in a folder that survives whatever stops them."""
