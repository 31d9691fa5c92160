"""Best responses of a global agent that knows it sees only k of n agents."""
