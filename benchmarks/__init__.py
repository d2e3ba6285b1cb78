"""Measurements: each module is a command that writes evidence records."""
