#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the seed corpus of fuzz_elf: small files, each with one more thing that the loader reads.

usage: make_elf_seeds.py [DIR]   (default: seeds/elf beside this script)
"""
import os
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


SEEDS = {
    "dynamic": build(interp=True, table=True),
    "static": build(kind=2, base=0x400000, frame_section=True),
    "static-pie": build(table=True, symbols=True),
    "symbols": build(symbols=True),
    "stripped": build(),
    "script": b"#! /bin/sh -e\necho\n",
}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "seeds", "elf")
    os.makedirs(out, exist_ok=True)
    for name, data in SEEDS.items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)


main()
