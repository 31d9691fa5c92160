"""Runs and figures, and the command line `kofn`."""
