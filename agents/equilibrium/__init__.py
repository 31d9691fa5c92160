"""How far a pair of policies is from a Nash equilibrium."""
