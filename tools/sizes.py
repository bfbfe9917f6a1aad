"""Fail when a source file is longer than 400 lines: in every queue we studied one file rotted, always a long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMIT = 400  # lines; STYLE.md 7(c) habit 7: no exceptions
SUFFIXES = {".py", ".ts", ".tsx", ".sh"}


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    files = [Path(name) for name in listed if Path(name).suffix in SUFFIXES and Path(name).is_file()]
    long = [(n, f) for f in files if (n := len(f.read_text(encoding="utf-8").splitlines())) > LIMIT]
    for lines, file in sorted(long, reverse=True):
        print(f"{file}: {lines} lines, at most {LIMIT}: split it by verb")
    print(f"sizes: {len(files)} files read, {len(long)} over {LIMIT} lines")
    return 1 if long else 0


if __name__ == "__main__":
    sys.exit(main())
