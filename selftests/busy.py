# SPDX-License-Identifier: GPL-2.0
"""Sockets that a program is busy with: it sends from memory that does not come,
and has the socket locked meanwhile."""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import struct
import threading

import ka

SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282, "riscv64": 282}.get(os.uname().machine)
UFFD_API, UFFDIO_API, UFFDIO_REGISTER, MODE_MISSING = 0xaa, 0xc018aa3f, 0xc020aa00, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _waiting(thread):
    """It sleeps in a page fault; wchan does not say that on Linux 5.10."""
    with open(f"/proc/self/task/{thread.native_id}/stack", encoding="ascii") as f:
        return "userfault" in f.read()


@contextlib.contextmanager
def sockets(*socks):
    """They are busy for the length of the block."""
    uffd = _libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
    if uffd < 0:
        raise ka.Skip("userfaultfd: " + errno.errorcode[ctypes.get_errno()])
    memory = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    threads = [threading.Thread(target=s.send, args=(memory,)) for s in socks]
    try:
        fcntl.ioctl(uffd, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
        fcntl.ioctl(uffd, UFFDIO_REGISTER,
                    struct.pack("QQQQ", start, mmap.PAGESIZE, MODE_MISSING, 0))
        for t in threads:
            t.start()
        for t in threads:
            ka.poll("busy", 10, lambda t=t: _waiting(t))
        yield
    finally:
        # Without it the memory is like any other.
        os.close(uffd)
        for t in threads:
            t.join()
