"""All rules of `verify`, each a numbered statement of `spec/verify.md`.

What a rule breaks is tried with podman 4.3.1 by `tests/compat/test_defects.py`; for later versions it is read in their source.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from cstore.verification.problem import Break, Problem, Reach, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RULES", "problem"]

_STORE = (
    ("V1", "an index is a JSON array of objects", "4 5 6: images run save build pull"),
    ("V2", "each member of a record has the type that readers decode", "4 5 6: images run save build pull"),
    ("V3", "a name belongs to one image", "4 5 6: images run save build pull"),
    ("V4", "the digests of an image and of its manifests are digests", "4 5 6: images run save build pull"),
    ("V5", "both locks are files that readers can open", "4 5 6: images run save build pull"),
    ("V6", "a name of a layer stands there once", "4 5 6: images run save build pull"),
    ("V106", "each view that cstore.json names is there", "4 5 6: images run save build pull"),
)
_IMAGE = (
    ("V11", "an image has one record", "4 5 6: images"),
    ("V12", "an image ID is 64 hexadecimal digits", "4: images; 4 5 6: run save build pull"),
    ("V13", "the top layer of an image has a record", "4: images; 4 5 6: run save build"),
    ("V14", "the parent of a layer has a record", "4: images; 4 5 6: run save build"),
    ("V15", "a chain of layers ends", "4 5 6: images run save build"),
    ("V16", "an image has at most 500 layers", "4 5 6: run build"),
    ("V17", "what is mounted fits a page, for podman up to 4.3", "4: run build"),
    ("V18", "a layer is complete", ""),
    ("V19", "a layer has its diff ID", "4 5 6: images run save build pull"),
    ("V20", "a layer has one record", "4 5 6: save build"),
    ("V22", "the metadata of an image is empty or JSON", "4 5 6: images run save build"),
    ("V23", "a name of an image can be one", "4 5 6: images run"),
    ("V31", "an image has its manifest", "4: images; 4 5 6: run save build"),
    ("V32", "an image has its config", "4: images; 4 5 6: run save build"),
    ("V33", "manifest and config can be read as such", "4: images; 4 5 6: run save build"),
    ("V34", "an image ID is the digest of its config", "4: images; 4 5 6: run save build"),
    ("V35", "the manifest names the config of its image", "4: images; 4 5 6: run save build"),
    ("V36", "chain, manifest and config have as many layers", "4 5 6: save build"),
    ("V37", "the diff IDs of the chain are those of the config", "4 5 6: save pull"),
    ("V51", "a layer has its directory", "4 5 6: run save build"),
    ("V52", "a layer has its link", "4 5 6: run build"),
    ("V53", "the symlink of a link leads to its layer", "4 5: run save build"),
    ("V54", "a link belongs to one layer", "4 5: run save build"),
    ("V55", "lower lists the links of the layers below", "4 5: run save build"),
    ("V56", "lower-layers lists the layers below", "6: run save build"),
    ("V57", "diff is a directory, or leads to one", "4 5 6: run save build"),
    ("V58", "beside diff is nothing that makes readers take another way", "4 5 6: run save uidmap"),
    ("V61", "no name in a tree begins with .wh.", "4 5 6: run"),
    ("V62", "a directory that is opaque is so for readers of every kind", "4 5 6: run"),
    ("V63", "a tree holds what its layer holds", "4 5 6: run save"),
    ("V64", "what a layer hides of the layers below is hidden", "4 5 6: run"),
    ("V101", "a view has each image of its store of which a name matches, with those names", ""),
    ("V102", "a view has no other image, and no other name", ""),
)
_FEATURE = (
    ("V21", "a layer ID is 64 hexadecimal digits", "4 5 6: pull"),
    ("V38", "a layer has the digest and the size of a blob", "4 5 6: pull"),
    ("V39", "a layer ID is made of its chain", "4 5 6: pull"),
    ("V40", "an image has the digest of its manifest", "4 5 6: digest"),
    ("V41", "names, sizes and digests of big data are complete", "5 6: pull"),
    ("V42", "an item of big data is there with its size", "5 6: pull"),
    ("V43", "an item of big data has its digest", ""),
    ("V44", "the manifest is there under its digest too", ""),
    ("V45", "a name is fully qualified", "4 5 6: run save build"),
    ("V46", "an image has at most 128 layers, for podman up to 4.3", "4: run build"),
    ("V47", "a layer has its diff ID for podman before 5", "4: images run save build pull"),
    ("V59", "diff is no symlink", "4 5 6: save build uidmap"),
    ("V60", "diff is no symlink, be it absolute", "4 5 6: uidmap"),
    ("V65", "a directory that is opaque is so for rootless readers too", "4 5 6: rootless"),
    ("V66", "a base layer has its empty directory", "5 6: rootless"),
    ("V67", "beside diff is no work and no merged", "5 6: rootless"),
    ("V71", "a layer has its tar-split", "4 5 6: save"),
    ("V72", "a tar-split can be read", "4 5 6: save"),
    ("V73", "a tar-split gives the tar of its layer", "4 5 6: save"),
    ("V74", "a lock holds 64 bytes", "5 6: service"),
    ("V75", "a lock is that of its index", "4 5 6: service"),
    ("V76", "others can read the store", "4 5 6: rootless"),
    ("V77", "a layer has no label and no mapped owners", "4 5 6: rootless"),
    ("V78", "a layer has the size of its tar", ""),
    ("V103", "a record of a view is that of its store, but for its names", ""),
)
_NOTE = (
    ("V81", "each directory of overlay is a layer's", ""),
    ("V82", "each link is a layer's", ""),
    ("V83", "each tar-split is a layer's", ""),
    ("V84", "each directory of overlay-images is an image's, and each file in it an item of big data", ""),
    ("V85", "a layer that no image uses is noted as retired", ""),
    ("V86", "no layer is kept only for those who still build on it", ""),
    ("V87", "no change is unfinished", ""),
    ("V88", "cstore.json is what cstore writes", ""),
    ("V89", "a layer has no name, no metadata and no big data, and an image no mapped layers", ""),
    ("V90", "lower-layers is there for podman 6", ""),
    ("V91", "a catalog has as many entries as CernVM-FS wants", ""),
    ("V92", "no marker of a catalog is inside a diff", ""),
    ("V93", "no symlink has text that CernVM-FS clients expand", ""),
    ("V94", "no name in a tree is one of CernVM-FS's own", ""),
    ("V95", "each layer that other readers share leads to a directory of the repository", ""),
    ("V96", "a directory that a layer only implies looks as below", ""),
    ("V97", "the files of a layer have the owners that the layer gives them", ""),
    ("V104", "what a view shares with its store is a relative symlink to it", ""),
    ("V105", "each directory of views is that of a view that cstore.json names", ""),
)


def _rule(reach: Reach, code: str, title: str, breaks: str) -> Rule:
    parts = (part.split(": ") for part in breaks.split("; ") if part)
    return Rule(code, reach, title, tuple(Break(tuple(versions.split()), tuple(commands.split())) for versions, commands in parts))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        row[0]: _rule(reach, *row)
        for reach, rows in ((Reach.STORE, _STORE), (Reach.IMAGE, _IMAGE), (Reach.FEATURE, _FEATURE), (Reach.NOTE, _NOTE))
        for row in rows
    }
)


def problem(code: str, subject: str, path: str, said: str) -> Problem:
    """Return the problem that a rule is broken; see `Problem`."""
    return Problem(rule=RULES[code], subject=subject, path=path, said=said)
