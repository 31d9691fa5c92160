"""Laws of the next histogram of many agents, applied without forming their kernel."""
