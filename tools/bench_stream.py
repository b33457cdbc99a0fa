"""How fast cstore reads an image and writes it as the tar stream that CernVM-FS takes, beside what such a stream cannot do without.

    bench_stream.py OCI_LAYOUT:TAG [--runs N]

The first reading verifies each layer and makes its tar-split; the second one writes the stream, here into /dev/null. Beside them: the
same blobs unpacked as cstore does, but nothing else; that with the SHA-256 of what goes in and of what comes out; `tar -x` of the blobs to
its output; `tar -c` of the unpacked layers into a pipe. All are run in turn, in a process of their own, N times; the best time counts,
since other work on the machine only ever adds to it. In Python it is the time of the work, without that of starting.

MB/s and entries/s are those of cstore's stream for all of them, so that they compare. Ratios are to the second reading: above 1 means
slower. The memory is the largest resident size. A real `cvmfs_server ingest` took 33 MB/s of a Debian image on 2 cores.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from cstore.layer.blob import open_tar
from cstore.model.layout import Form
from cstore.publish.batch import Batch
from cstore.publish.cvmfs import DEFAULT_PATH
from cstore.publish.tarstream import TarStream
from cstore.source.oci import open_oci

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK = 1 << 18
_FIRST, _SECOND, _BOTH = "first reading: verify", "second reading: stream", "both"
_ALONE, _HASHED, _TAR_X, _TAR_C = "unpacking alone", "unpacking and SHA-256", "tar -x", "tar -c of the tree"
