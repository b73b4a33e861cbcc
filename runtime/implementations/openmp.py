"""The OpenMP runtime that torch runs on: kernels use its threads, so that no second pool competes for the cores.

In: nothing. Out: addresses of its functions, for objects that do not link OpenMP themselves. Where there is no OpenMP
the addresses are 0, and kernels run on the calling thread. The functions are searched among the libraries that torch
is linked against, so a second OpenMP runtime that another package has loaded is never taken for torch's.
"""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class OpenMP:
    """Addresses of two functions of an OpenMP runtime; 0 where there is none."""

    parallel: int  # void GOMP_parallel(void (*)(void*), void*, unsigned threads, unsigned flags)
    thread_number: int  # int omp_get_thread_num()


NONE = OpenMP(0, 0)

_forked_from_threads = False


def openmp() -> OpenMP:
    """Return the runtime of torch, or `NONE` where this process must not use it."""
    return NONE if _forked_from_threads else _of_torch()


@cache
def _of_torch() -> OpenMP:
    """Return the OpenMP runtime that torch is linked against, or `NONE`."""
    for path in (Path(torch.__file__).parent / "lib" / "libtorch_cpu.so", Path(torch._C.__file__)):
        try:
            library = ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0))
            # A symbol is searched in the library and then in those that it needs, in their order.
            functions = (library.GOMP_parallel, library.omp_get_thread_num)
        except (OSError, AttributeError):
            continue
        return OpenMP(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions))
    return NONE


def _before_fork() -> None:
    global _about_to_fork_threads
    _about_to_fork_threads = _threads() > 1


def _after_fork() -> None:
    # GNU's OpenMP hangs in a process forked from one in which it had threads, and does not tell whether it has any.
    global _forked_from_threads
    _forked_from_threads = _forked_from_threads or _about_to_fork_threads


def _threads() -> int:
    """Return the number of threads of this process, those of libraries included."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count() + 1  # those of libraries are unknown: assume one


_about_to_fork_threads = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
