"""Verifying stores: what is wrong with one, whom it breaks, and where the spec says so."""
