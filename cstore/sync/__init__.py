"""From wishlists to published repositories, and following registries."""
