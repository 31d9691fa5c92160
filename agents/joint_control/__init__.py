"""SUBSAMPLE-MFQ: one planner for the global and all local agents, a full-information reference."""
