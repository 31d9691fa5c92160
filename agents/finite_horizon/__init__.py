"""UCFH and exact planning for decision processes that end after a fixed number of steps."""
