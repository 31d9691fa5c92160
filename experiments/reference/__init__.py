"""Figures measured from the papers' own public code; each JSON file says how."""
