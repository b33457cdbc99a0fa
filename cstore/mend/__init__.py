"""Making good stores of those that are not: what can be mended, and what can be taken over from another converter's."""
