#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""MRENCLAVE computed from a description on standard input, with nothing of the simulator in it.

Lines: "create SSAFRAMESIZE SIZE", "page OFFSET FLAGS MEASURED HEX...", numbers in hexadecimal.
Source: Intel SDM volume 3D, Operation of ECREATE, EADD, EEXTEND.
"""
import hashlib
import struct
import sys

sha = hashlib.sha256()
for line in sys.stdin:
    words = line.split()
    if words[0] == "create":
        frame, size = (int(w, 16) for w in words[1:3])
        sha.update(struct.pack("<8sIQ44x", b"ECREATE", frame, size))
    else:
        offset, flags, measured = (int(w, 16) for w in words[1:4])
        data = bytes.fromhex(words[4])
        sha.update(struct.pack("<8sQQ40x", b"EADD", offset, flags))
        for at in range(0, 4096 if measured else 0, 256):
            sha.update(struct.pack("<8sQ48x", b"EEXTEND", offset + at))
            sha.update(data[at:at + 256])
print(sha.hexdigest())
