# SPDX-License-Identifier: MIT
"""
The enclave's image, as the build left it: what must not be in it, whatever the flags said.
"""
import hashlib
import re

import harness


def image(ctx):
    return ctx.build / "target" / "sgx" / "adyton-kernel"


def tool(*argv):
    r = harness.run(argv)
    harness.expect(r.status == 0, r.errors())
    return r.text()


def no_undefined(ctx):
    out = tool("nm", "-u", image(ctx)).strip()
    harness.expect(not out, f"undefined symbols: {out}")


def segments(ctx):
    loads = re.findall(r"LOAD\s+\S+\s+(\S+)\s+\S+\s+\S+\s+\S+\s+([RWE ]{3})", tool("readelf", "-lW", image(ctx)))
    harness.expect(len(loads) == 3, f"three segments expected: {loads}")
    for address, flags in loads:
        harness.expect(not ("W" in flags and "E" in flags), f"{address} is writable and executable")
        harness.expect(int(address, 16) % 4096 == 0, f"{address} is not page-aligned")
    harness.expect("no relocations" in tool("readelf", "-rW", image(ctx)), "the image has relocations")


def instructions(ctx):
    """(address, mnemonic and operands) of all code."""
    for line in tool("objdump", "-d", "--no-show-raw-insn", image(ctx)).splitlines():
        m = re.match(r"\s*([0-9a-f]+):\s+(.*)$", line)
        if m:
            yield m.group(1), m.group(2).strip()


# What is #UD inside an enclave (SDM vol. 3D, "Illegal Instructions Inside an Enclave"), much of which no simulator in
# user space can catch; HLT; and WRGSBASE, since GS is the kernel's way to its thread.
ILLEGAL = (r"^((data16|rep\w*|lock|rex\S*|cs|ds|es|fs|gs) )*("
           r"syscall|sysenter|sysexit\w*|sysret\w*|int|int1|icebp|into|iret\w*|"
           r"cpuid|rdpmc|getsec|vmcall|vmmcall|vmfunc|enclv|encls|sgdt|sidt|sldt|str|smsw|lar|lsl|verr|verw|"
           r"in|out|ins[bwld]|outs[bwld]|hlt|wrgsbase|"
           r"ljmp\w*|lcall\w*|lret\w*|retf\w*|l[dsefg]s|pop\w* +%[defgs]s|mov\w* +.*,%[defgs]s)(\s|$)")


def no_stray_instructions(ctx):
    """No instruction that an enclave may not execute, one ENCLU, and no vector code but where saved."""
    text = list(instructions(ctx))
    forbidden = re.compile(ILLEGAL)
    bad = [f"{a}: {i}" for a, i in text if forbidden.match(i)]
    harness.expect(not bad, "instructions that fault inside: " + "; ".join(bad[:5]))
    enclu = [a for a, i in text if i.startswith("enclu")]
    harness.expect(len(enclu) == 1, f"one ENCLU expected, found at {enclu}")


def vector_free(ctx):
    """Vector registers are touched only by the hash's assembly and the entry code's own loads."""
    function, bad = "", set()
    for line in tool("objdump", "-d", "--no-show-raw-insn", image(ctx)).splitlines():
        m = re.match(r"[0-9a-f]+ <(.*)>:", line)
        if m:
            function = m.group(1)
        elif re.search(r"%[xyz]mm\d|%mm\d", line) and not re.match(r"sha256_block_data_order|_shaext",
                                                                  function):
            bad.add(function)
    harness.expect(not bad, f"vector registers in {sorted(bad)}")


def stub(ctx):
    data = image(ctx).read_bytes()
    pattern = b"\x0f\x01\xd7\xc3" + b"\xcc" * 12
    harness.expect(data.count(pattern) == 1, f"the ENCLU stub stands {data.count(pattern)} times")
    harness.expect(data.index(pattern) % 16 == 0, "the ENCLU stub is not aligned")


def reproducible(ctx):
    """A second link and compile in another folder gives the same bytes."""
    other = ctx.tmp / "again"
    r = harness.run(["meson", "setup", other, harness.ROOT])
    harness.expect(r.status == 0, r.text()[-800:])
    if (ctx.build / "zydis").exists():
        (other / "zydis").symlink_to(ctx.build / "zydis")
    r = harness.run(["ninja", "-C", other, "target/sgx/adyton-kernel"], timeout=900)
    harness.expect(r.status == 0, r.text()[-1500:])
    digests = [hashlib.sha256(loaded(ctx, p)).hexdigest()
               for p in (image(ctx), other / "target" / "sgx" / "adyton-kernel")]
    harness.expect(digests[0] == digests[1], "two builds differ")


def loaded(ctx, path):
    """What is loaded: the image without debug information, which names folders."""
    out = ctx.tmp / "image.bin"
    tool("objcopy", "-O", "binary", path, out)
    return out.read_bytes()


def cases(ctx):
    for check in (no_undefined, segments, no_stray_instructions, vector_free, stub):
        yield harness.Case(check.__name__.replace("_", "-"), lambda c=check: c(ctx))
    yield harness.Case("reproducible", lambda: reproducible(ctx), alone=True)
