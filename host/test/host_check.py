#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Checks the host runtime against computations of its own, written from the SDM, the manifest's header
and dm-verity's format: host_check.py HOST_TOOL. Each check prints a line; any mismatch ends it.
"""
import datetime
import hashlib
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

PAGE = 4096
KIMAGE, MANIFEST, BOOT = 0x3fff80000000, 0x3fff00000000, 0x3fff20000000
NSSA, SSA_PAGES = 2, 4
R, W, X, REG, TCS = 1, 2, 4, 2 << 8, 1 << 8


def tool(name, *args, env=None):
    r = subprocess.run([name, *args], stdout=subprocess.PIPE, check=True, timeout=120, env=env)
    return r.stdout.decode().strip()


def up(n):
    return (n + PAGE - 1) // PAGE * PAGE


def pad(data):
    return data + bytes(up(len(data)) - len(data))


def make_elf(segments, entry):
    """segments: (vaddr, flags, bytes, memsz)"""
    out = bytearray(0x1000)
    phdrs = b""
    for vaddr, flags, data, memsz in segments:
        phdrs += struct.pack("<IIQQQQQQ", 1, flags, len(out), vaddr, vaddr, len(data), memsz, PAGE)
        out += pad(data)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    out[:64] = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, entry, 64, 0, 0, 64, 56,
                                   len(segments), 0, 0, 0)
    out[64:64 + len(phdrs)] = phdrs
    return bytes(out)


def tcs_page(entry):
    area = BOOT + PAGE * (1 + NSSA * SSA_PAGES)
    return pad(struct.pack("<QQQIIQQQQII", 0, 0, BOOT + PAGE, 0, NSSA, entry, 0, area, area,
                           0xfff, 0xfff))


def expected_pages(segments, entry, manifest):
    """(address, SECINFO.FLAGS, page) in ascending order of addresses."""
    runs = [(MANIFEST, REG | R, pad(manifest)), (BOOT, TCS, tcs_page(entry))]
    at = BOOT + PAGE
    for count, guard in ((NSSA * SSA_PAGES, 0), (2, 1), (1, 1), (8, 0)):
        runs.append((at, REG | R | W, bytes(PAGE * count)))
        at += PAGE * (count + guard)
    for vaddr, flags, data, memsz in segments:
        perm = R | (W if flags & 2 else 0) | (X if flags & 1 else 0)
        runs.append((vaddr, REG | perm, data + bytes(up(memsz) - len(data))))
    for va, secinfo, data in sorted(runs):
        for i in range(0, len(data), PAGE):
            yield va + i, secinfo, data[i:i + PAGE]


def mrenclave(pages):
    h = hashlib.sha256(struct.pack("<8sIQ44x", b"ECREATE", SSA_PAGES, 1 << 46))
    for va, secinfo, page in pages:
        h.update(struct.pack("<8sQQ40x", b"EADD", va, secinfo))
        for i in range(0, PAGE, 256):
            h.update(struct.pack("<8sQ48x", b"EEXTEND", va + i))
            h.update(page[i:i + 256])
    return h.hexdigest()


def check_sigstruct(sig, measurement):
    assert len(sig) == 1808
    assert sig[0:16] == bytes.fromhex("06000000e10000000000010000000000")
    assert sig[24:40] == bytes.fromhex("01010000600000006000000001000000")
    n, s = (int.from_bytes(sig[o:o + 384], "little") for o in (128, 516))
    q1, q2 = (int.from_bytes(sig[o:o + 384], "little") for o in (1040, 1424))
    days = [(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=s))
            .strftime("%Y%m%d") for s in (0, 60)]
    assert "%08x" % struct.unpack_from("<I", sig, 20) in days, "date"
    assert n.bit_length() == 3072 and sig[512:516] == b"\x03\0\0\0"
    digest = hashlib.sha256(sig[0:128] + sig[900:1028]).digest()
    prefix = bytes.fromhex("3031300d060960864801650304020105000420")
    message = b"\0\1" + b"\xff" * (384 - 3 - len(prefix) - 32) + b"\0" + prefix + digest
    assert pow(s, 3, n) == int.from_bytes(message, "big"), "signature"
    assert q1 == s * s // n and q2 == (s ** 3 - q1 * s * n) // n, "Q1, Q2"
    assert sig[960:992].hex() == measurement
    assert struct.unpack_from("<HH", sig, 1024) == (0x1234, 0x5678)
    flags, xfrm = struct.unpack_from("<QQ", sig, 928)
    assert flags == 6 and xfrm & 3 == 3 and xfrm & ~0xe7 == 0, "attributes"


def check_measure(name, folder):
    entry = KIMAGE + 0x10
    segments = [(KIMAGE, 5, os.urandom(5000), 5000),
                (KIMAGE + 0x2000, 4, os.urandom(100), 100),
                (KIMAGE + 0x3000, 6, os.urandom(4096), 0x5123)]
    manifest = os.urandom(6000)
    paths = [os.path.join(folder, n) for n in ("kernel", "manifest", "sig")]
    for path, data in zip(paths, (make_elf(segments, entry), manifest)):
        with open(path, "wb") as f:
            f.write(data)
    env = dict(os.environ, XDG_DATA_HOME=os.path.join(folder, "data"))
    first = tool(name, "sigstruct", *paths, env=env)
    assert first == mrenclave(expected_pages(segments, entry, manifest)), "MRENCLAVE"
    with open(paths[2], "rb") as f:
        sig = f.read()
    check_sigstruct(sig, first)
    key = os.path.join(folder, "data", "adyton", "dev-key.pem")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    tool(name, "sigstruct", *paths, env=env)
    with open(paths[2], "rb") as f:
        assert f.read()[128:512] == sig[128:512], "the key was not kept"
    assert os.listdir(os.path.dirname(key)) == ["dev-key.pem"]
    print("ok measurement, signature, key file")


def check_manifest(name, folder):
    path = os.path.join(folder, "m")
    tool(name, "manifest", path)
    with open(path, "rb") as f:
        m = f.read()
    magic, version, size, flags, level = struct.unpack_from("<QIIII", m)
    assert magic.to_bytes(8, "little")[:5] == b"ADYTN" and version == 1 and size == len(m)
    assert flags == 0x44 and level == 2
    assert struct.unpack_from("<QQQI", m, 24) == (0x123456789000, 0x100000, 0x200000, 3)
    root = 64
    assert struct.unpack_from("<I", m, root) == (1,)
    assert struct.unpack_from("<QQQ", m, root + 72) == (7, 7 * 4096, 28000)

    def text(offset, length):
        assert m[offset + length - 1] == 0
        return m[offset:offset + length - 1].decode()
    at = root + 96
    strings = [struct.unpack_from("<II", m, at + 8 * i) for i in range(4)]
    assert [text(*s) if s[0] else None for s in strings] == ["/bin/prog", "/tmp", "host", None]
    lists = [struct.unpack_from("<IIII", m, at + 32 + 16 * i) for i in range(3)]
    assert [m[o:o + n].split(b"\0")[:-1] for o, n, _, _ in lists] == \
        [[b"prog", b"", b"two words"], [b"A=1", b"B="], [b"TERM"]]
    assert [c for _, _, c, _ in lists] == [3, 2, 1]
    print("ok manifest")


def verity_levels(data, salt):
    level = [hashlib.sha256(salt + data[i:i + PAGE]).digest() for i in range(0, len(data), PAGE)]
    levels = []
    while len(level) > 1:
        blocks = pad(b"".join(level))
        levels.insert(0, blocks)
        level = [hashlib.sha256(salt + blocks[i:i + PAGE]).digest()
                 for i in range(0, len(blocks), PAGE)]
    return b"".join(levels), level[0].hex()


def check_verity(name, folder):
    path = os.path.join(folder, "v")
    for size, salt in ((1, ""), (4096, "s"), (4097, ""), (128 * 4096, "salted"),
                       (129 * 4096, ""), (128 * 130 * 4096 + 5, "0123456789abcdef")):
        data = os.urandom(size)
        with open(path, "wb") as f:
            f.write(data)
        root = tool(name, "verity", path, salt)
        tree, expected = verity_levels(pad(data), salt.encode())
        assert root == expected, f"root hash of {size} bytes"
        with open(path, "rb") as f:
            image = f.read()
        assert image[:-PAGE] == pad(data) + tree and image[-PAGE:][:8] == b"ADVERILY"
        if shutil.which("veritysetup"):
            subprocess.run(["veritysetup", "verify", path, path, root, "--no-superblock",
                            f"--data-blocks={up(size) // PAGE}", f"--hash-offset={up(size)}",
                            "--hash=sha256", f"--salt={salt.encode().hex() or '-'}"],
                           check=True, timeout=60)
    print("ok verity", "with veritysetup" if shutil.which("veritysetup") else "")


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_measure(sys.argv[1], folder)
        check_manifest(sys.argv[1], folder)
        check_verity(sys.argv[1], folder)


if __name__ == "__main__":
    main()
