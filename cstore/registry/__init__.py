"""Registries: asked over HTTP as podman asks them, with its configuration and its credentials, and a cache for what they send."""
