"""Kernels forked from a process that has imported their libraries: each begins three CPU seconds further on.

Two dozen notebooks import torch, pandas, seaborn and scikit-learn; a process that executes several of them
(`oodlib.book.side_by_side`) does so once. On Linux alone: elsewhere a forked process may not use what its parent has
loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from oodlib.machine import leave_with

NAME = "oodlib-forked"
LIBRARIES = ("torch", "open_clip", "seaborn", "sklearn.linear_model", "umap", "ipykernel.kernelapp")


def fork_kernels() -> None:
    """Import the libraries, and let every kernel that this process starts be forked from it.

    What libraries read of the environment when they are imported, such as the number of threads, must stand there now.
    """
    if sys.platform != "linux":
        return
    # As a kernel of its own would find it, which sets this before a notebook can import matplotlib.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in LIBRARIES:
        with contextlib.suppress(Exception):  # an extra that is missing, or damaged: the notebook that needs it says so
            import_module(name)
    gc.collect()
    gc.freeze()  # no kernel looks for garbage among the libraries' objects, which would copy their memory as well
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[NAME] = EntryPoint(NAME, f"{__name__}:ForkedProvisioner", factory.GROUP_NAME)
    factory.default_provisioner_name = NAME


class ForkedProvisioner(LocalProvisioner):
    """What starts a kernel for jupyter_client, and afterwards asks about it and ends it as a process of its own."""

    process: Any = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork; `cmd` is what would start another Python, whose arguments the kernel gets."""
        self.process = Forked(cmd[cmd.index("ipykernel_launcher") + 1 :], kwargs["env"])
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class Forked:
    """The part of `subprocess.Popen` that jupyter_client uses."""

    stdin = stdout = stderr = None

    def __init__(self, options: Sequence[str], env: Mapping[str, str]):
        self._process = multiprocessing.get_context("fork").Process(target=_be_kernel, args=(options, env, os.getpid()))
        self._process.start()
        self.pid: int = self._process.pid  # type: ignore[assignment]  # it has one since it was started

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _be_kernel(options: Sequence[str], env: Mapping[str, str], parent: int) -> None:
    """What `python -m ipykernel_launcher` does, in a process that has imported it."""
    from ipykernel.kernelapp import launch_new_instance

    leave_with(parent)
    os.setsid()  # a signal to the kernel reaches what it has started, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    asyncio.set_event_loop(asyncio.new_event_loop())  # the parent's is in use
    launch_new_instance(argv=list(options))
