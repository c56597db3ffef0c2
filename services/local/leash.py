"""Become a command that ends when its parent does: `leash.py PARENT SIGNAL USER COMMAND…`.

Run as a script, by path. It stands between fork and exec, where `subprocess`'s `preexec_fn` would run Python in
a copy of a process that may have threads, which can lock up. It imports nothing of this project, so that it
costs some 10 ms.
"""

import ctypes
import os
import pwd
import sys

SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
SET_KEEP_CAPABILITIES = 8  # PR_SET_KEEPCAPS
AMBIENT, AMBIENT_RAISE = 47, 2  # PR_CAP_AMBIENT
CAPABILITY_VERSION_3 = 0x20080522
OVERRIDE_FILE_MODES = 1  # CAP_DAC_OVERRIDE

CapabilityHeader = ctypes.c_uint32 * 2  # version, pid
CapabilitySets = ctypes.c_uint32 * 6  # effective, permitted, inheritable; then the same for bits above 31


def call(name: str, *arguments: object) -> None:
    """Call a function of the C library; raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def tie_to(parent: int, signal: int) -> None:
    """Have the kernel send us `signal` when the thread that started us ends. Linux only; elsewhere nothing."""
    if not sys.platform.startswith("linux"):
        return
    call("prctl", SET_PARENT_DEATH_SIGNAL, signal, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the tie was made
        sys.exit(f"the parent {parent} is gone")


def become(user: str) -> None:
    """Give up root for `user`, which PostgreSQL insists on.

    The right to pass file modes is kept, for `user` can enter neither /root nor a state folder of mode 0700.
    """
    entry = pwd.getpwnam(user)
    if sys.platform.startswith("linux"):
        call("prctl", SET_KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if sys.platform.startswith("linux"):
        try:
            keep_override()
        except OSError as error:
            print(f"{user} may not reach every folder: {error}", file=sys.stderr)


def keep_override() -> None:
    """Let the right to pass file modes, and no other, outlive `exec`; raises OSError."""
    bit = 1 << OVERRIDE_FILE_MODES
    call("capset", CapabilityHeader(CAPABILITY_VERSION_3, 0), CapabilitySets(bit, bit, bit, 0, 0, 0))
    call("prctl", AMBIENT, AMBIENT_RAISE, OVERRIDE_FILE_MODES, 0, 0)


def main(parent: str, signal: str, user: str, *command: str) -> None:
    """Change the user unless it is `-`, tie, and become the command."""
    if user != "-":
        become(user)  # first, for a change of user undoes the tie
    tie_to(int(parent), int(signal))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
