"""Learning from logged transitions: off-policy G-LEARN, and games estimated from logs."""
