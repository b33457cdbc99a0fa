"""Layers: a blob opened, verified and walked as the entries of a tree; tar-split; what the chain below holds."""
