"""Programs in processes that know nothing of the project yet.

Each is forked from one process that has imported Keras and no more: importing TensorFlow takes
longer than most of the programs.
"""

import multiprocessing
import os
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["keras"])
_ERRORS = "errors.txt"


def start_fresh(program, folder):
    """The process that executes the source `program` in `folder`."""
    process = _CONTEXT.Process(target=_execute, args=(program, str(folder)))
    process.start()
    return process


def run_fresh(program, folder, timeout=180):
    """Execute `program` in `folder` to its end, which must be a good one."""
    process = start_fresh(program, folder)
    process.join(timeout)
    if process.exitcode != 0:
        process.kill()
        errors = Path(folder, _ERRORS).read_text(encoding="utf-8", errors="replace")
        raise AssertionError(f"Exit code {process.exitcode}:\n{errors[-3000:]}")


def _execute(program, folder):
    os.chdir(folder)
    errors = os.open(_ERRORS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 2)
    exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
