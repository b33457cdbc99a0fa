"""Hubs: what a repository offers beside its podman stores, to other readers."""
