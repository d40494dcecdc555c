"""What a process that reads files of strangers may still do, taken from it for good by the
system.

On Linux, without any right of an administrator: files by Landlock (kernel 5.13), connections and
what reaches into other processes by a seccomp filter, memory by a resource limit. Elsewhere, and on
older kernels, what is not there is left out and told; the reading of formats (`raster/doors.py`)
then stands alone.

Sources: landlock(7), seccomp(2), setrlimit(2); the numbers of system calls from the kernel's tables
for x86-64 and aarch64.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
PATH_BENEATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
WRITES = (1 << 1) | sum(1 << bit for bit in range(4, 13))
"""Write a file; remove and make files, folders, devices, sockets, pipes, links."""
GRANTED = READ_FILE | READ_DIR | (1 << 1) | sum(1 << bit for bit in (4, 5, 7, 8))
"""Of these, for files and folders alone."""
REFER, TRUNCATE = 1 << 13, 1 << 14
OF_FILES = READ_FILE | (1 << 1) | TRUNCATE
"""Rights that make sense for a file, not for a folder alone."""
NET_BOTH = 3
"""Bind and connect by TCP."""
SCOPES = 3
"""Abstract sockets and signals beyond the domain."""
NO_NEW_PRIVILEGES, PARENT_DEATH_SIGNAL = 38, 1
FILTER_MODE, ALL_THREADS = 1, 1
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 13
"""Seccomp's answers: go on; fail with EACCES."""
MACHINES = {"x86_64": (0xC000003E, 317, 0), "aarch64": (0xC00000B7, 277, 1)}
"""A machine's mark in a filter, its number of seccomp(2), and its column of FORBIDDEN."""
FOREIGN = 1 << 20
"""Added to numbers that a machine has not."""
FORBIDDEN = {
    "socket": (41, 198),
    "io_uring_setup": (425, 425),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "unshare": (272, 97),
    "setns": (308, 268),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
}
STARTS = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, 57 + FOREIGN),
    "vfork": (58, 58 + FOREIGN),
}
"""Calls that start other programs, which would outlive a worker that is ended; aarch64 has no
fork."""
OWNERS = {
    "chmod": (90, 90 + FOREIGN),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, 92 + FOREIGN),
    "lchown": (94, 94 + FOREIGN),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
}
"""Calls that change what Landlock does not look at: rights of files, the machine."""
OF_ITSELF = {
    "prlimit64": ((302, 261), 16),
    "sched_setaffinity": ((203, 122), 16),
    "setpriority": ((141, 140), 24),
}
"""Calls that a process may make for itself alone: numbers, and at which byte of seccomp_data the
process is named that is meant, 0 being itself."""
CAPABILITIES_VERSION, CAPSET = 0x20080522, (126, 91)
KEPT_CAPABILITIES = (1 << 1) | (1 << 2)
"""Of an administrator's: to read and write files whoever owns them, which Landlock bounds."""
CLONE = (56, 220)
"""Makes threads, which are allowed, and processes, which are not, by a flag of its first argument
..."""
CLONE_THREAD = 0x00010000
CLONE3 = 435
"""... which this one hides behind a pointer: it is said not to be there, and libraries take the
other."""
ABSENT = 0x00050000 | 38
"""Seccomp's answer: fail with ENOSYS."""
FOREIGN_CALLS = 0x40000000
"""From here on calls of x86-64's other interface, which a filter by number would miss."""
SYSTEM = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt/cuda",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/OpenCL",
    "/proc",
    "/sys",
)
"""What programs and their libraries read to run; nothing of users. Of /proc the system shows a
confined process nothing secret of others."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/shm", "/dev/dxg")
GRAPHICS = ("nvidia", "kfd", "dri")


@dataclass(frozen=True)
class Confinement:
    """What a worker may do. `reads`: files and folders, with all below them. `writes`: the same,
    to read too. `memory_bytes`: that it may take; 0: no limit."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    memory_bytes: int = 0


def program() -> tuple[str, ...]:
    """Files and folders of this program, its interpreter and their libraries."""
    package = Path(__file__).resolve().parents[2]
    own = [package / name for name in ("server", "resources", "metadata.txt", "__init__.py")]
    paths = sysconfig.get_paths()
    user = os.environ.get("PROJ_DATA", ""), os.environ.get("PROJ_USER_WRITABLE_DIRECTORY", "")
    grids = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "proj"
    return tuple(
        str(path)
        for path in (
            *own,
            sys.prefix,
            sys.base_prefix,
            *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            *filter(None, user),
            grids,
        )
    )


def confine(plan: Confinement) -> tuple[str, ...]:
    """Take from this process, and from all it starts, whatever `plan` does not allow; returns what
    the system could take. It cannot be undone. To be called before there are other threads."""
    held = []
    if _limit_memory(plan.memory_bytes):
        held.append("memory")
    if not sys.platform.startswith("linux"):
        return tuple(held)
    library = ctypes.CDLL(None, use_errno=True)
    _last_to_live(library)
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return tuple(held)
    _drop_capabilities(library)
    if _landlock(library, plan):
        held.append("files")
    if _seccomp(library):
        held.append("connections")
    return tuple(held)


def _limit_memory(allowed: int) -> bool:
    """Of data, not of addresses, of which libraries reserve more than any machine has memory. Where
    there is a graphics card to compute on, its driver counts the card's memory in too: then the
    server's own looking at what a worker takes is all."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if allowed and hasattr(resource, "RLIMIT_DATA") and not _computes_on_graphics():
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            most = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            return True
    return False


def _last_to_live(library: ctypes.CDLL) -> None:
    """End with the process that made this one, and before any other when memory is short."""
    library.prctl(PARENT_DEATH_SIGNAL, 9, 0, 0, 0)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as f:
        f.write("1000")


def _drop_capabilities(library: ctypes.CDLL) -> None:
    """Of a process that runs as administrator: all but what reads and writes files."""
    machine = MACHINES.get(platform.machine())
    if machine is None or os.geteuid() != 0:
        return
    low = KEPT_CAPABILITIES
    header = struct.pack("=Ii", CAPABILITIES_VERSION, 0)
    library.syscall(CAPSET[machine[2]], header, struct.pack("=6I", low, low, 0, 0, 0, 0))


def _landlock(library: ctypes.CDLL, plan: Confinement) -> bool:
    version = library.syscall(LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return False
    handled = READ_FILE | READ_DIR | WRITES
    handled |= REFER if version >= 2 else 0
    handled |= TRUNCATE if version >= 3 else 0
    rules = struct.pack("=QQQ", handled, NET_BOTH, SCOPES)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = library.syscall(LANDLOCK_CREATE, rules[:size], ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for path in _existing((*plan.reads, *program(), *SYSTEM)):
            _allow(library, ruleset, path, READ_FILE | READ_DIR)
        for path in _existing((*plan.writes, *DEVICES, *_graphics())):
            _allow(library, ruleset, path, GRANTED | (handled & (REFER | TRUNCATE)))
        return bool(library.syscall(LANDLOCK_RESTRICT, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _existing(paths: Iterable[str]) -> list[str]:
    return [path for path in dict.fromkeys(paths) if path and os.path.exists(path)]


def _graphics() -> list[str]:
    """Devices of graphics cards."""
    with contextlib.suppress(OSError):
        return [f"/dev/{name}" for name in os.listdir("/dev") if name.startswith(GRAPHICS)]
    return []


def _computes_on_graphics() -> bool:
    return any(os.path.exists(f"/dev/{name}") for name in ("nvidia0", "kfd", "dxg"))


def _allow(library: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Allow what is below a path; of a path that has gone meanwhile nothing."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if os.path.isdir(path) else rights & OF_FILES
        rule = struct.pack("=Qi", allowed, handle)
        library.syscall(LANDLOCK_ADD, ruleset, PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)


def _seccomp(library: ctypes.CDLL) -> bool:
    machine = MACHINES.get(platform.machine())
    if machine is None or sys.maxsize < 1 << 32:
        return False
    mark, call, column = machine
    # Compilers of networks for graphics cards are programs of their own.
    closed = {**FORBIDDEN, **OWNERS, **({} if _computes_on_graphics() else STARTS)}
    numbers = sorted(pair[column] for pair in closed.values())
    clone = None if _computes_on_graphics() else CLONE[column]
    own = [(pair[column], at) for pair, at in OF_ITSELF.values()]
    program = b"".join(_filter(mark, numbers, own, clone))
    held = ctypes.create_string_buffer(program)
    # struct sock_fprog: a count and a pointer, as the compiler lays them
    about = struct.pack("@HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    return bool(library.syscall(call, FILTER_MODE, ALL_THREADS, about) == 0)


def _filter(
    mark: int, numbers: Sequence[int], own: Sequence[tuple[int, int]], clone: int | None
) -> list[bytes]:
    """Instructions of a Berkeley packet filter over struct seccomp_data: the number lies at byte 0,
    the machine's mark at byte 4, the first argument at byte 16. `numbers`: refused. `own`: taken
    where the argument at that byte is 0. `clone`: its number, where it may make threads alone."""
    load, equal, from_on, has, answer = 0x20, 0x15, 0x35, 0x45, 0x06

    def line(code: int, then: int, otherwise: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    # Each looks at an argument of one call: number, byte, how it is compared, with what.
    looks = [(number, at, equal, 0) for number, at in own]
    looks += [] if clone is None else [(clone, 16, has, CLONE_THREAD)]
    absent = [] if clone is None else [CLONE3]
    body = len(absent) + len(numbers) + 3 * len(looks)
    lines = [
        line(load, 0, 0, 4),
        line(equal, 0, body + 3, mark),
        line(load, 0, 0, 0),
        line(from_on, body + 1, 0, FOREIGN_CALLS),
    ]
    allow = len(lines) + body
    refuse, gone = allow + 1, allow + 2
    for number in absent:
        lines.append(line(equal, gone - len(lines) - 1, 0, number))
    for number in numbers:
        lines.append(line(equal, refuse - len(lines) - 1, 0, number))
    for number, at, how, value in looks:
        lines.append(line(equal, 0, 2, number))
        lines.append(line(load, 0, 0, at))
        place = len(lines) + 1
        lines.append(line(how, allow - place, refuse - place, value))
    answers = (ALLOW, REFUSE, ABSENT)
    return [*lines, *(line(answer, 0, 0, value) for value in answers)]
