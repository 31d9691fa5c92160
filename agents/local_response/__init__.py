"""L-LEARN: the response of the fleet, or of one local agent, to a fixed global policy."""
