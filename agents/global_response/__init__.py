"""G-LEARN: the global agent's response to a fixed local policy."""
