#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the fuzzers' seed corpora: DIR/NAME/*, small inputs with one more feature each.

usage: seeds.py DIR
"""
import json
import pathlib
import struct
import sys

CODE = bytes.fromhex("4889f8 0f05 c3 90 90" "b827000000 0f05 c3" "31c0 0f05 483d01f0ffff 7600 c3")
R, W, X = 4, 2, 1


def phdr(kind, flags, offset, vaddr, size, memsz=None, align=4096):
    return struct.pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, size,
                       size if memsz is None else memsz, align)


def shdr(kind, flags, addr, offset, size, entsize=0):
    return struct.pack("<IIQQQQIIQQ", 0, kind, flags, addr, offset, size, 0, 0, 1, entsize)


def ehdr(kind, phnum, shnum, shoff, entry):
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, entry, 64, shoff, 0, 64, 56, phnum,
                               64, shnum, 0)


def unwind(va, text, size):
    """.eh_frame_hdr, then .eh_frame with one CIE and one FDE, both linked at `va`."""
    frame = va + 20
    cie = b"\0" * 4 + b"\1zR\0" + b"\x01\x78\x10" + b"\x01\x1b" + b"\0" * 3
    cie = struct.pack("<I", len(cie)) + cie
    fde_at = frame + len(cie)
    fde = struct.pack("<IiI", len(cie) + 4, text - (fde_at + 8), size) + b"\0" * 4
    fde = struct.pack("<I", len(fde)) + fde
    head = b"\1\x1b\3\x3b" + struct.pack("<iI", frame - (va + 4), 1)
    head += struct.pack("<ii", text - va, fde_at - va)
    return head + cie + fde + b"\0" * 4


def build(kind=3, base=0, interp=False, table=False, symbols=False, frame_section=False):
    text = 0x300
    body = bytearray(0x800)
    body[text:text + len(CODE)] = CODE
    phdrs = [phdr(1, R | X, 0, base, len(body)), phdr(1, R | W, 0x700, base + 0x1700, 0x100, 0x900),
             phdr(0x6474e551, R | W, 0, 0, 0)]
    sections = [shdr(0, 0, 0, 0, 0), shdr(1, 6, base + text, text, len(CODE))]
    if interp:
        body[0x200:0x210] = b"/lib/ld-test.so\0"
        phdrs.append(phdr(3, R, 0x200, base + 0x200, 16, align=1))
    if table or frame_section:
        data = unwind(base + 0x400, base + text, len(CODE))
        body[0x400:0x400 + len(data)] = data
        if table:
            phdrs.append(phdr(0x6474e550, R, 0x400, base + 0x400, 20, align=4))
        else:
            sections.append(shdr(1, 2, base + 0x414, 0x414, len(data) - 20))
    if symbols:
        syms = bytes(24) + b"".join(struct.pack("<IBBHQQ", 0, 2, 0, 1, base + text + at, size)
                                    for at, size in ((0, 6), (8, 8), (16, 0)))
        body[0x480:0x480 + len(syms)] = syms
        sections.append(shdr(2, 0, 0, 0x480, len(syms), 24))
    table_at = 0x500
    raw = b"".join(sections)
    body[table_at:table_at + len(raw)] = raw
    head = ehdr(kind, len(phdrs), len(sections), table_at, base + text) + b"".join(phdrs)
    body[:len(head)] = head
    return bytes(body)


def elf():
    yield build(interp=True, table=True)
    yield build(kind=2, base=0x400000, frame_section=True)
    yield build(table=True, symbols=True)
    yield build(symbols=True)
    yield build()


def code():
    """A byte for the function's end, then code."""
    tail = bytes.fromhex("0f05 483d01f0ffff 7300 c3")
    for first in (b"\xff", b"\x80", b"\0"):
        yield first + CODE
        yield first + bytes.fromhex("b827000000") + tail
        yield first + bytes.fromhex("4c89d1 31c0 488d3d10000000") + tail + bytes(32)
        yield first + bytes.fromhex("eb02 0f05 0f05 90 e8f7ffffff c5f877 0f05 c3")


def script():
    yield b"#!/bin/sh\n"
    yield b"#! /usr/bin/env python3 -u\t\nprint()\n"
    yield b"#!" + b"a" * 300


def newc(entries):
    out = bytearray()
    for ino, (name, mode, links, data) in enumerate(entries + [("TRAILER!!!", 0, 1, b"")], 1):
        raw = name.encode() + b"\0"
        ino = 1 if links > 1 else ino
        fields = (ino, mode, 0, 0, links, 1, len(data), 0, 0, 8, 1, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def cpio():
    folder, regular, link = 0o40755, 0o100644, 0o120777
    yield newc([])
    yield newc([(".", folder, 1, b""), ("bin", folder, 1, b""), ("bin/a", regular, 1, b"text")])
    yield newc([("x", regular, 2, b""), ("y", regular, 2, b"two names"), ("l", link, 1, b"x")])
    yield newc([("null", 0o20666, 1, b""), ("pipe", 0o10600, 1, b""), ("d/../x", regular, 1, b"1")])


def manifest():
    """struct manifest (abi/manifest.h), then its strings."""
    for root in (0, 1):
        strings, head = bytearray(), 304
        header = struct.pack("<QIIIIQQQIIQ", 0x4e54594441, 1, 0, 0x7f, 2, 1 << 28, 1 << 20, 1 << 18,
                             0, 0, 7)
        header += struct.pack("<II", root, 32) + bytes(64)
        header += struct.pack("<QQQ", root, root * 4096, root * 4000)
        for text in (b"/bin/sh\0", b"/\0" if root else b"", b"host\0", b""):
            header += struct.pack("<II", head + len(strings) if text else 0, len(text))
            strings += text
        for items in ((b"sh", b"-c", b""), (b"A=1", b"B="), ()):
            text = b"".join(i + b"\0" for i in items)
            header += struct.pack("<IIII", head + len(strings) if text else 0, len(text), len(items), 0)
            strings += text
        core = b"core.%p\0" if root else b""
        header += struct.pack("<II", head + len(strings) if core else 0, len(core)) + bytes(56)
        strings += core
        assert len(header) == head, len(header)
        yield header[:12] + struct.pack("<I", head + len(strings)) + header[16:] + strings


def config():
    values = {
        "version": "0.1", "Debug": True, "ProductID": 1, "SecurityVersion": 2, "MemorySize": "512m",
        "MainStackSize": 1 << 20, "MaxAffinityCPUs": 4, "NoBrk": False, "ApplicationPath": "/bin/sh",
        "ApplicationParameters": ["-c", "echo"], "EnvironmentVariables": ["A=1", "B="],
        "HostEnvironmentVariables": ["TERM"], "CurrentWorkingDirectory": "/", "Hostname": "h", "CoreDump": "/tmp/core.%e.%p",
        "ForkMode": "none", "Mount": [], "Secret": None, "SyslogLevel": "warning",
        "EnclaveStartAddress": "0x0"}
    yield json.dumps(values, indent=1).encode()
    for key, value in values.items():
        yield json.dumps({key: value}).encode()
    yield b'{ // comment\n "Debug": 1, /* two\n lines */ "Hostnam": "\\u00e9\\n" }'


def hostcall():
    """tests/fuzz/fuzz_hostcall.c, struct step: number, fill, legal, reserved, result, arguments."""
    for number in range(40):
        yield b"".join(struct.pack("<BBBxxxxxq6Q", number, 0xa5, legal, result, 3, 16, 1, 0, 0, 0)
                       for legal in (0x3f, 0) for result in (0, 1, 16, -4, -134, 1 << 40))


def strace():
    """tests/fuzz/fuzz_strace.c, struct call: arguments, result, number, mask; then the arena."""
    arena = 0x200000000000 + 4096 - 256
    content = struct.pack("<QQQQ", arena + 64, 5, arena + 80, 3).ljust(64, b"\0")
    content += b"/etc/passwd\0".ljust(16, b"\0") + bytes(range(48, 224))
    for nr in range(0, 460):
        yield struct.pack("<6Qq2I", 0, 64, 2, 0o644, 8, 1, 3, nr, 0x3f & (0x2d if nr % 2 else 0x12)) + content


CORPORA = (elf, code, script, cpio, manifest, config, hostcall, strace)


def main():
    for corpus in CORPORA:
        folder = pathlib.Path(sys.argv[1]) / corpus.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(corpus()):
            (folder / str(number)).write_bytes(data)


if __name__ == "__main__":
    main()
