"""Makes an OCI image of programs of this machine: each with the libraries that it needs, and nothing else.

For trying cstore where there is no registry: `make_image.py DIR PROGRAM...`.
"""

from __future__ import annotations

import io
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tools.layout import write_layout

_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_DAY = 1_700_000_000
_DIRECTORIES = {"tmp": 0o1777, "root": 0o700, **dict.fromkeys(("bin", "dev", "etc", "proc", "run", "sys"), 0o755)}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FILES = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "etc/group": b"root:x:0:\n"}


def main(layout: str, programs: list[str]) -> None:
    """Write an OCI layout with one image, `latest`, of two layers: the directories, and the programs with their libraries."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    config = {"Env": ["PATH=/bin"], "Cmd": [f"/bin/{programs[0]}"]}
    write_layout(Path(layout), [_base(), _programs(programs)], config=config, architecture=architecture, gzipped=True)
    print(f"an image of {', '.join(programs)} is in {layout}")


def _base() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode in sorted({"./": 0o755, **_DIRECTORIES}.items()):
            _add(tar, name, mode, tarfile.DIRTYPE)
        for name, content in _FILES.items():
            _add(tar, name, 0o644, tarfile.REGTYPE, content)
    return data.getvalue()


def _programs(programs: list[str]) -> bytes:
    files = {}
    for program in programs:
        place = shutil.which(program)
        if place is None:
            sys.exit(f"make_image.py: expected a program {program} on this machine, found none")
        files[f"bin/{program}"] = Path(place)
        files.update({library.lstrip("/"): Path(library) for library in _libraries(place)})
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        directories = {str(above) for name in files for above in Path(name).parents if str(above) != "."}
        for directory in sorted(directories - _DIRECTORIES.keys()):
            _add(tar, directory, 0o755, tarfile.DIRTYPE)
        for name, file in sorted(files.items()):
            _add(tar, name, 0o755, tarfile.REGTYPE, file.read_bytes())
    return data.getvalue()


def _libraries(program: str) -> list[str]:
    """Return the libraries of a program as the dynamic loader finds them; none for a static one."""
    found = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return _LIBRARY.findall(found.stdout)


def _add(tar: tarfile.TarFile, name: str, mode: int, kind: bytes, content: bytes = b"") -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.type, member.size, member.mtime = mode, kind, len(content), _DAY
    tar.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
