# SPDX-License-Identifier: MIT
"""
Debugging a program in the simulator, for `adyton gdb`, which starts gdb with this script and with
`adyton run --debug` as its program.

What the enclave maps for execution is told to the host, which calls debug_map(path, base); a breakpoint
there loads the symbols of that file from the root directory. With a null path it is about to be unmapped:
its symbols go, and gdb takes its breakpoints out while the pages are there. The first call is the
program's own: then the host's symbols are dropped (its main() is not the one you mean), the kernel's and
the vDSO's are loaded, and the run stops at the program's first instruction.
"""
import os
import struct

import gdb

ROOT = os.environ.get("ADYTON_GDB_ROOT", "/")
PAGE = 4096
PT_LOAD, PF_X = 1, 1

# The simulator and the kernel live on these; they mean nothing to the debugger's user.
SIGNALS = ("SIGSEGV SIGILL SIGSYS SIGBUS SIGFPE SIGALRM SIGVTALRM SIGPROF SIGUSR1 SIGUSR2 SIGCHLD SIGWINCH "
           "SIGIO SIGURG SIGPIPE SIGHUP SIGCONT " + " ".join(f"SIG{n}" for n in range(32, 65)))


class Elf:
    """Of an ELF file: its entry, and the first executable segment and that one's last byte."""

    def __init__(self, path):
        with open(path, "rb") as f:
            header = f.read(64)
            self.entry, phoff = struct.unpack_from("<QQ", header, 24)
            size, count = struct.unpack_from("<HH", header, 54)
            f.seek(phoff)
            table = f.read(size * count)
        self.offset = self.address = self.last = 0
        for i in range(count):
            kind, flags, offset, address = struct.unpack_from("<IIQQ", table, i * size)
            if kind == PT_LOAD and flags & PF_X:
                self.offset, self.address = offset & -PAGE, address & -PAGE
                self.last = address + struct.unpack_from("<Q", table, i * size + 32)[0] - 1
                break

    def bias(self, base):
        """What to add to the file's addresses when its text is mapped as if from `base`."""
        return base + self.offset - self.address


def quietly(command):
    return gdb.execute(command, to_string=True)


def beside_adyton(*places):
    folder = os.path.dirname(State.executable)
    for place in places:
        path = os.path.normpath(os.path.join(folder, place))
        if os.path.exists(path):
            return path
    return None


class State:
    executable = ""
    loaded = {}  # by base: the file, and an address in its text
    entry = None  # of the program


def load_symbols(path, bias):
    try:
        quietly(f'add-symbol-file "{path}" -o {bias & (1 << 64) - 1:#x}')
    except gdb.error as e:
        gdb.write(f"adyton: no symbols of {path}: {e}\n", gdb.STDERR)
        return False
    return True


def add_symbols(path, base, elf):
    if State.loaded.get(base, ("",))[0] == path:
        return
    drop_symbols(base)
    if load_symbols(path, elf.bias(base)):
        State.loaded[base] = path, elf.last + elf.bias(base)


def drop_symbols(base):
    if base in State.loaded:
        quietly(f"remove-symbol-file -a {State.loaded.pop(base)[1]:#x}")


def resolve(inside):
    """The file that a path inside the root names, links followed below ROOT only; None if none does."""
    path, rest, links = "/", [p for p in inside.split("/") if p], 0
    while rest:
        name = rest.pop(0)
        if name in (".", ".."):
            path = path if name == "." else os.path.dirname(path)
            continue
        path = os.path.join(path, name)
        real = ROOT + path
        if os.path.islink(real):
            links += 1
            target = os.readlink(real)
            path = "/" if target.startswith("/") else os.path.dirname(path)
            rest = [p for p in target.split("/") if p] + rest
        if links > 40:
            return None
    return ROOT + path if os.path.isfile(ROOT + path) else None


def mapped(inside, base):
    """One call of debug_map()."""
    if inside == "[vdso]":
        path = beside_adyton("../kernel/loader/vdso/linux-vdso.so.1",
                             "../libexec/adyton/linux-vdso.so.1")
        if path:
            add_symbols(path, base, Elf(path))
        return
    path = resolve(inside)
    if not path:
        return
    elf = Elf(path)
    add_symbols(path, base, elf)
    if State.entry is None:
        State.entry = elf.entry + elf.bias(base)


class MapBreakpoint(gdb.Breakpoint):
    """On debug_map(path, base), at its first instruction."""

    def __init__(self, where, first):
        super().__init__(where, internal=True)
        self.first = first
        self.call = None
        self.silent = True

    def stop(self):
        frame = gdb.newest_frame()
        pointer = int(frame.read_register("rdi"))
        base = int(frame.read_register("rsi"))
        path = read_string(pointer) if pointer else ""
        if self.first:
            self.call = path, base
        elif path:
            mapped(path, base)
        else:
            drop_symbols(base)
        return self.first


def read_string(address):
    data = b""
    while b"\0" not in data and len(data) < PAGE:
        data += bytes(gdb.selected_inferior().read_memory(address + len(data), 64))
    return data.split(b"\0")[0].decode(errors="surrogateescape")


class KillBreakpoint(gdb.Breakpoint):
    """On the kernel's decision to end the program by a signal: signal_die(info)."""

    def __init__(self):
        super().__init__("*signal_die", internal=True)

    def stop(self):
        info = int(gdb.newest_frame().read_register("rdi"))
        number = int.from_bytes(gdb.selected_inferior().read_memory(info, 4), "little")
        gdb.write(f"Signal {number} is about to end the program.\n")
        return True


def start():
    State.executable = gdb.current_progspace().filename
    for setting in ("confirm off", "pagination off", "auto-solib-add off", "breakpoint pending on",
                    "auto-load libthread-db off", "debuginfod enabled off", "print thread-events off"):
        quietly(f"set {setting}")
    quietly(f"handle {SIGNALS} nostop noprint pass")
    quietly("unset environment ADYTON_GDB_ROOT")
    first = MapBreakpoint("*debug_map", True)
    quietly("run")
    if not gdb.selected_inferior().threads():
        return  # it ended: what it said is on the screen
    where = int(gdb.newest_frame().pc())
    call = first.call
    first.delete()
    quietly("symbol-file")  # forgets all: the host's are not wanted
    kernel = beside_adyton("adyton-kernel", "../libexec/adyton/adyton-kernel",
                           "../target/sgx/adyton-kernel")
    load_symbols(kernel, 0)
    mapped(*call)
    MapBreakpoint(f"*{where:#x}", False)
    KillBreakpoint()
    if State.entry:
        gdb.Breakpoint(f"*{State.entry:#x}", temporary=True, internal=True).silent = True
        quietly("continue")
        gdb.write("The program is in the enclave, at its first instruction.\n")


start()
