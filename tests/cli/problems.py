"""Problems made by hand, of each reach and with texts that are hard to write."""

from __future__ import annotations

from cstore.verification.problem import Problem
from cstore.verification.rules import RULES

IMAGE = "image " + "ab" * 32
LAYER = "layer " + "cd" * 32

NAMES = Problem(rule=RULES["V3"], subject=IMAGE, path="overlay-images/images.json", said='expected names of its own, found "a"')
LOWER = Problem(rule=RULES["V55"], subject=LAYER, path="overlay/cd/lower", said="expected l/A:l/B, found l/A")
LOWER_LAYERS = Problem(rule=RULES["V56"], subject=LAYER, path="overlay/cd/lower-layers", said="expected 2 lines, found 1")
OTHER_LOWER = Problem(rule=RULES["V55"], subject="layer ee", path="overlay/ee/lower", said="expected a file, found none")
SPLIT = Problem(rule=RULES["V71"], subject=LAYER, path="", said="expected a tar-split, found none")
ORPHAN = Problem(rule=RULES["V81"], subject="overlay/x", path="overlay/x", said="expected a layer with this ID, found none")
NASTY = Problem(
    rule=RULES["V93"],
    subject="overlay/x\udcff\n</failure>]]>",
    path="overlay/x\udcff\n%41 ü:?#[]",
    said='expected "[text](0)" and {0}, found \x00\x1b[31m\u202e\ufffe"&<',
)
ALL = (ORPHAN, LOWER, SPLIT, NAMES, LOWER_LAYERS, NASTY, OTHER_LOWER)
"""In an order in which a store might tell them, of no reach before another."""
