# SPDX-License-Identifier: GPL-2.0
"""BPF programs of the tests' own: loaded with bpftool, attached for the length
of a block."""

import contextlib
import ctypes
import os
import shutil
import struct
import tempfile

import ka

HERE = os.path.dirname(os.path.abspath(__file__))
SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(os.uname().machine)
BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM = 2, 3
BPF_OBJ_PIN, BPF_OBJ_GET, BPF_PROG_ATTACH = 6, 7, 8
BPF_RAW_TRACEPOINT_OPEN, BPF_LINK_CREATE, BPF_TRACE_ITER = 17, 28, 28

_libc = ctypes.CDLL(None, use_errno=True)


def need(program):
    """Skip where it cannot be loaded."""
    if not shutil.which("bpftool"):
        raise ka.Skip("no bpftool")
    if not os.path.exists(f"{HERE}/{program}"):
        raise ka.Skip(f"no {program}: there was no clang to build it")
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise ka.Skip("this kernel has no BTF")
    if not SYS_BPF:
        raise ka.Skip("the number of bpf(2) here is not known")


def _bpf(cmd, attr):
    """bpf(2), which gives a file descriptor or 0."""
    fd = _libc.syscall(SYS_BPF, cmd, attr, len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf({cmd})")
    return fd


@contextlib.contextmanager
def pinned(path):
    """A descriptor of a pinned program or map."""
    name = ctypes.create_string_buffer(path.encode())
    fd = _bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    try:
        yield fd
    finally:
        os.close(fd)


def attach(path):
    """Attach a pinned program to what it was loaded for, which Debian 12's
    bpftool cannot. It stays until the descriptor is closed."""
    with pinned(path) as prog:
        return _bpf(BPF_RAW_TRACEPOINT_OPEN, struct.pack("=QIxxxx", 0, prog))


def iterator(prog, path):
    """An iterator, pinned as a program, as a file: who reads it lets it run."""
    name = ctypes.create_string_buffer(path.encode())
    with pinned(prog) as p:
        link = _bpf(BPF_LINK_CREATE, struct.pack("=IIII", p, 0, BPF_TRACE_ITER, 0))
    _bpf(BPF_OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), link, 0))
    os.close(link)


def attach_to_map(prog, kind, sockmap):
    """A program, pinned, for the sockets of a map; it stays with the map."""
    with pinned(prog) as p, pinned(sockmap) as m:
        _bpf(BPF_PROG_ATTACH, struct.pack("=IIII", m, p, kind, 0))


def put(sockmap, i, sock):
    """A socket into a pinned map, or with None what is there out of it."""
    key = ctypes.c_uint32(i)
    value = ctypes.c_uint32(sock.fileno() if sock else 0)
    with pinned(sockmap) as m:
        _bpf(BPF_MAP_UPDATE_ELEM if sock else BPF_MAP_DELETE_ELEM,
             struct.pack("=IxxxxQQQ", m, ctypes.addressof(key),
                         ctypes.addressof(value) if sock else 0, 0))


@contextlib.contextmanager
def loaded(program):
    """The folder where its maps are pinned, and below progs/ its programs."""
    with tempfile.TemporaryDirectory() as folder:
        ka.run("mount", "-t", "bpf", "bpf", folder)
        try:
            ka.run("bpftool", "prog", "loadall", f"{HERE}/{program}",
                   folder + "/progs", "pinmaps", folder)
            yield folder
        finally:
            ka.run("umount", folder)


@contextlib.contextmanager
def attached(program):
    """Its programs attached; the folder where its maps are pinned."""
    links = []
    with loaded(program) as folder:
        try:
            for name in os.listdir(folder + "/progs"):
                links.append(attach(f"{folder}/progs/{name}"))
            yield folder
        finally:
            for fd in links:
                os.close(fd)
