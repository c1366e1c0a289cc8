"""Commands as processes of their own, for faults that end or cut off a process, and what they may do then."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def oodlib(*words: object, limit: int | None = None, timeout: float = 120, **more) -> subprocess.CompletedProcess[str]:
    """Run the command; `limit` is the size in bytes above which the system lets no file of it grow.

    `cwd` and `env` go to the process. A command that waits for ever fails the test after `timeout` seconds.
    """
    program = "import runpy; runpy.run_module('oodlib.cli', run_name='__main__', alter_sys=True)"
    if limit is not None:
        program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {program}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150", **more.pop("env", {})}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, env=environment, timeout=timeout, text=True, errors="surrogateescape", **streams)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that ended with an error, as a person is meant to read it."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, done.stderr
    return said[0]
