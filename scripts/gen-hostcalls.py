#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Reads abi/hostcalls.tbl and writes what both sides of the boundary need of it:

  --numbers FILE       HOSTCALL_* and ABI_DIGEST, for both sides
  --stubs-h, --stubs-c the enclave's stubs: argument checks, copies out and in, result checks
  --dispatch-h, -c     the host's dispatch: the same checks again, then host_NAME()
  --descs-c            hostcall_descs[], the table as data (statistics, the hostile host)

Any mistake in the table is an error that names its line.
"""
import argparse
import hashlib
import re
import sys

ARGS_MAX = 6
DATA_SIZE = 65536
ERRNO_MAX = 133
SCALARS = {
    "i32": ("int32_t", -(2**31), 2**31 - 1),
    "u32": ("uint32_t", 0, 2**32 - 1),
    "i64": ("int64_t", -(2**63), 2**63 - 1),
    "u64": ("uint64_t", 0, 2**64 - 1),
}
BUFFERS = {"in": "HOSTCALL_IN", "out": "HOSTCALL_OUT", "inout": "HOSTCALL_INOUT"}


class TableError(Exception):
    pass


class Scalar:
    """A value passed in a slot of struct host_thread."""

    def __init__(self, kind, name, low, high):
        self.kind, self.name, self.low, self.high = kind, name, low, high
        self.ctype, self.type_low, self.type_high = SCALARS[kind]
        self.slot = -1


class Buffer:
    """Bytes passed through the data area; `length` is the Scalar with its size."""

    def __init__(self, direction, name, length, full):
        self.direction, self.name, self.length, self.full = direction, name, length, full


class Erange:
    """Two slots: the address of a page-aligned range of the enclave and its pages."""

    def __init__(self, addr, pages):
        self.addr, self.pages = addr, pages


class Call:
    def __init__(self, number, name):
        self.number, self.name = number, name
        self.args = []
        self.slots = []  # Scalars in slot order
        self.result = None  # errno | range | len | never
        self.low = self.high = 0
        self.length = None
        self.noerr = False

    def buffers(self):
        return [a for a in self.args if isinstance(a, Buffer)]

    def parameters(self):
        out = []
        for a in self.args:
            if isinstance(a, Scalar):
                out.append(f"{a.ctype} {a.name}")
            elif isinstance(a, Buffer):
                const = "const " if a.direction == "in" else ""
                out.append(f"{const}void *{a.name}")
            else:
                out.append(f"uint64_t {a.addr.name}, uint64_t {a.pages.name}")
        return out


def parse_range(text):
    m = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", text)
    if not m:
        return None
    low, high = int(m.group(1)), int(m.group(2))
    if low > high:
        raise TableError(f"empty range {text}")
    return low, high


def add_slot(call, scalar):
    if len(call.slots) == ARGS_MAX:
        raise TableError(f"more than {ARGS_MAX} scalars")
    scalar.slot = len(call.slots)
    call.slots.append(scalar)
    return scalar


def parse_scalar(call, words):
    if len(words) not in (2, 3):
        raise TableError(f"expected TYPE NAME [MIN..MAX], not '{' '.join(words)}'")
    _, low, high = SCALARS[words[0]]
    if len(words) == 3:
        limits = parse_range(words[2])
        if not limits or limits[0] < low or limits[1] > high:
            raise TableError(f"bad range {words[2]} for {words[0]}")
        low, high = limits
    return add_slot(call, Scalar(words[0], words[1], low, high))


def parse_buffer(call, words):
    full = len(words) == 4 and words[3] == "full"
    if len(words) != 3 and not full:
        raise TableError(f"expected {words[0]} NAME LEN [full], not '{' '.join(words)}'")
    if full and words[0] == "in":
        raise TableError("'full' says how an output is copied back")
    length = [s for s in call.slots if s.name == words[2]]
    if not length or length[0].kind != "u64":
        raise TableError(f"no u64 argument {words[2]} before {words[1]}")
    return Buffer(words[0], words[1], length[0], full)


def parse_argument(call, text):
    words = text.split()
    if words[0] in SCALARS:
        return parse_scalar(call, words)
    if words[0] in BUFFERS:
        return parse_buffer(call, words)
    if words[0] == "erange" and len(words) == 3:
        return Erange(add_slot(call, Scalar("u64", words[1], 0, 2**64 - 1)),
                      add_slot(call, Scalar("u64", words[2], 0, 2**64 - 1)))
    raise TableError(f"unknown argument '{text}'")


def parse_result(call, text):
    words = text.split()
    if words == ["errno"]:
        call.result = "errno"
    elif words == ["never"]:
        call.result = "never"
    elif len(words) == 2 and words[0] == "len":
        call.result = "len"
        lengths = [s for s in call.slots if s.name == words[1]]
        if not lengths:
            raise TableError(f"result names no argument: {words[1]}")
        call.length = lengths[0]
        call.high = lengths[0].high
    elif words and parse_range(words[0]) and words[1:] in ([], ["noerr"]):
        call.result = "range"
        call.low, call.high = parse_range(words[0])
        call.noerr = len(words) == 2
        if call.low < 0 or call.high > 2**63 - 1:
            raise TableError("a result lies in 0..2^63-1")
    else:
        raise TableError(f"unknown result '{text}'")


def check_call(call):
    names = [p.split()[-1].lstrip("*") for p in ", ".join(call.parameters()).split(",") if p]
    if len(set(names)) != len(names):
        raise TableError("two arguments of one name")
    total = sum((b.length.high + 15) // 16 * 16 for b in call.buffers())
    if total > DATA_SIZE:
        raise TableError(f"buffers of up to {total} bytes exceed the data area")
    for b in call.buffers():
        if b.direction != "in" and not b.full and (call.result != "len" or call.length != b.length):
            raise TableError(f"{b.name} needs 'full' or a result that is its length")


def parse_row(line):
    m = re.fullmatch(r"(\d+)\s+([a-z][a-z0-9_]*)\s*\{(.*)\}\s*->\s*(.+)", line)
    if not m:
        raise TableError("expected: number name { arguments } -> result")
    call = Call(int(m.group(1)), m.group(2))
    for text in m.group(3).split(";"):
        if text.strip():
            call.args.append(parse_argument(call, text.strip()))
    parse_result(call, m.group(4).strip())
    check_call(call)
    return call


def parse_table(path, text):
    calls = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        try:
            call = parse_row(line)
            if call.number != len(calls) + 1:
                raise TableError(f"number {call.number} where {len(calls) + 1} comes next")
            if call.name in [c.name for c in calls]:
                raise TableError(f"second {call.name}")
            calls.append(call)
        except TableError as e:
            sys.exit(f"{path}:{number}: {e}")
    return calls


# ---- C text -------------------------------------------------------------------------------------

BANNER = "/* SPDX-License-Identifier: MIT */\n/* Made by scripts/gen-hostcalls.py from abi/hostcalls.tbl. */\n"


def literal(value, ctype):
    if value == -(2**63):
        return "INT64_MIN"
    if ctype == "int32_t":
        return f"{value}" if value != -(2**31) else "INT32_MIN"
    return f"{value}{'LL' if ctype == 'int64_t' else 'U' if ctype == 'uint32_t' else 'ULL'}"


def range_tests(scalar, name=None):
    """C conditions that are true when the value is out of range."""
    name = name or scalar.name
    tests = []
    if scalar.low > scalar.type_low:
        tests.append(f"{name} < {literal(scalar.low, scalar.ctype)}")
    if scalar.high < scalar.type_high:
        tests.append(f"{name} > {literal(scalar.high, scalar.ctype)}")
    return tests


def call_tests(call):
    tests = []
    for a in call.args:
        if isinstance(a, Scalar):
            tests += range_tests(a)
        elif isinstance(a, Erange):
            tests.append(f"!hostcall_erange_ok({a.addr.name}, {a.pages.name})")
    return tests


def prototype(call, prefix, context=""):
    params = ([context] if context else []) + call.parameters()
    attribute = ""
    ctype = "int64_t"
    if call.result == "never" and not context:
        attribute, ctype = "_Noreturn ", "void"
    return f"{attribute}{ctype} {prefix}{call.name}({', '.join(params) or 'void'})"


def gen_numbers(calls, digest):
    out = [BANNER, "#ifndef HOSTCALL_NUMBERS_H\n#define HOSTCALL_NUMBERS_H\n"]
    for c in calls:
        out.append(f"#define HOSTCALL_{c.name} {c.number}u")
    out.append(f"#define HOSTCALL_COUNT {len(calls) + 1}u")
    out.append("\n/* X(name) for each call that returns: for tables of all of them. */")
    out.append("#define HOSTCALL_EACH(X) \\\n    " + " \\\n    ".join(
        f"X({c.name})" for c in calls if c.result != "never"))
    out.append("\n/* First 8 bytes, little-endian, of the table's SHA-256. */")
    out.append(f"#define ABI_DIGEST 0x{digest:016x}ULL\n\n#endif")
    return "\n".join(out) + "\n"


STUBS_H = """/*
 * The enclave's stubs. Each checks its arguments (-EINVAL: a kernel bug), copies what goes out through
 * the thread's block, leaves the enclave, and checks what came back: a result outside the table's
 * range is reported and becomes -EIO, and no buffer is written beyond the checked length. Buffers are
 * kernel memory. A failed call leaves its output buffers untouched.
 *
 * Locking: none taken, nothing allocated; whatever locks the caller may hold across a host call is
 * the caller's affair. One call at a time per thread.
 */
#ifndef HOSTCALL_STUBS_H
#define HOSTCALL_STUBS_H

#include <stdint.h>
#include <boundary.h>
#include <kernel/types.h>
#include "hostcall_numbers.h"

/* Provided by the target: the calling thread's block, which lies in untrusted memory (checked). */
struct host_thread __host *hostcall_begin(void);

/* Provided by the target: leaves, comes back, and returns the result, read once. */
int64_t hostcall_do(struct host_thread __host *ht, uint64_t number);

/* Provided by the target: the host answered out of range. Must not make a host call. */
void hostcall_lied(const char *name, int64_t result);
"""

STUBS_C_HEAD = """/*
 * Untrusted memory is touched in aligned units of 8 bytes only, each exactly once per call, so that
 * nothing stale leaks and no value is looked at twice.
 */
#include "hostcall_stubs.h"
#include <layout.h>

static uintptr_t block_address(struct host_thread __host *ht, uint64_t offset)
{
    return (uintptr_t)ht + offset;
}

static void put_arg(struct host_thread __host *ht, unsigned slot, uint64_t value)
{
    uintptr_t to = block_address(ht, offsetof(struct host_thread, args) + slot * 8UL);

    __asm__ volatile("movq %1, (%0)" : : "r"(to), "r"(value) : "memory");
}

static uint64_t data_offset(uint64_t index)
{
    return offsetof(struct host_thread, data) + index;
}

static void copy_out(struct host_thread __host *ht, uint64_t index, const void *src, uint64_t size)
{
    uintptr_t to = block_address(ht, data_offset(index));
    uint64_t units = size / 8;
    uint64_t tail = 0;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(src), "+c"(units) : : "memory");
    if (size % 8) {
        __builtin_memcpy(&tail, src, size % 8);
        __asm__ volatile("movq %1, (%0)" : : "r"(to), "r"(tail) : "memory");
    }
}
"""

COPY_IN = """
static void copy_in(void *dst, struct host_thread __host *ht, uint64_t index, uint64_t size)
{
    uintptr_t from = block_address(ht, data_offset(index));
    uint64_t units = size / 8;
    uint64_t tail;

    __asm__ volatile("rep movsq" : "+D"(dst), "+S"(from), "+c"(units) : : "memory");
    if (size % 8) {
        __asm__ volatile("movq (%1), %0" : "=r"(tail) : "r"(from) : "memory");
        __builtin_memcpy(dst, &tail, size % 8);
    }
}
"""

ERANGE = """
static int hostcall_erange_ok(uint64_t addr, uint64_t pages)
{
    return addr % ENCLAVE_PAGE_SIZE == 0 && addr < ENCLAVE_END && pages > 0 &&
           pages <= (ENCLAVE_END - addr) / ENCLAVE_PAGE_SIZE;
}
"""

CHECK = """
/* The result if the table allows it, else -EIO. */
static int64_t check_result(const char *name, int64_t result, int64_t low, int64_t high, int errors)
{
    if (result >= low && result <= high)
        return result;
    if (errors && result < 0 && result >= -%d)
        return result;
    hostcall_lied(name, result);
    return -EIO;
}
""" % ERRNO_MAX


def slot_value(scalar):
    return scalar.name if scalar.kind in ("u64", "u32") else f"(uint64_t){scalar.name}"


def buffer_offsets(call):
    """(Buffer, C expression of its offset in data[]) in table order."""
    out, expr = [], []
    for b in call.buffers():
        out.append((b, " + ".join(expr) or "0"))
        expr.append(f"(({b.length.name} + 15) & ~15ULL)")
    return out


def result_bounds(call):
    if call.result == "range":
        return f"{call.low}LL", f"{call.high}LL", 0 if call.noerr else 1
    if call.result == "len":
        return "0", f"(int64_t){call.length.name}", 1
    return "0", "0", 1


def gen_stub(call):
    out = [prototype(call, "hostcall_"), "{"]
    never = call.result == "never"
    out.append("    struct host_thread __host *ht;")
    if not never:
        out.append("    int64_t result;")
    out.append("")
    tests = call_tests(call)
    if never:
        for b in call.buffers():
            out.append(f"    if ({b.length.name} > {b.length.high}ULL)")
            out.append(f"        {b.length.name} = {b.length.high}ULL;")
        out.append("    for (;;) {")
        out += ["    " + line for line in gen_send(call)]
        out.append(f"        (void)hostcall_do(ht, HOSTCALL_{call.name});")
        out.append("    }\n}")
        return "\n".join(out)
    if tests:
        out.append(f"    if ({' || '.join(tests)})")
        out.append("        return -EINVAL;")
    out += gen_send(call)
    out.append(f"    result = hostcall_do(ht, HOSTCALL_{call.name});")
    low, high, errors = result_bounds(call)
    out.append(f'    result = check_result("{call.name}", result, {low}, {high}, {errors});')
    outputs = [(b, o) for b, o in buffer_offsets(call) if b.direction != "in"]
    for b, offset in outputs:
        size = b.length.name if b.full else "(uint64_t)result"
        out.append("    if (result >= 0)")
        out.append(f"        copy_in({b.name}, ht, {offset}, {size});")
    out.append("    return result;\n}")
    return "\n".join(out)


def gen_send(call):
    out = ["    ht = hostcall_begin();"]
    for s in call.slots:
        out.append(f"    put_arg(ht, {s.slot}, {slot_value(s)});")
    for b, offset in buffer_offsets(call):
        if b.direction != "out":
            out.append(f"    copy_out(ht, {offset}, {b.name}, {b.length.name});")
    return out


def uses(calls, what):
    return any(what(a) for c in calls for a in c.args)


def gen_stubs_h(calls):
    out = [BANNER + STUBS_H]
    out += [prototype(c, "hostcall_") + ";" for c in calls]
    return "\n".join(out) + "\n\n#endif\n"


def gen_stubs_c(calls):
    out = [BANNER + STUBS_C_HEAD]
    if uses(calls, lambda a: isinstance(a, Buffer) and a.direction != "in"):
        out.append(COPY_IN.strip("\n") + "\n")
    if uses(calls, lambda a: isinstance(a, Erange)):
        out.append(ERANGE.strip("\n") + "\n")
    out.append(CHECK.strip("\n") + "\n")
    out += [gen_stub(c) + "\n" for c in calls]
    return "\n".join(out)


DISPATCH_H = """/*
 * The host's side: hostcall_dispatch() takes the thread's request, checks it against the table once
 * more and calls the handler. Handlers return what the table says or -errno.
 */
#ifndef HOSTCALL_DISPATCH_H
#define HOSTCALL_DISPATCH_H

#include <stdint.h>
#include "boundary.h"
#include "hostcall_desc.h"
#include "hostcall_numbers.h"

struct host_context;

/* Serves the request in `ht` and stores its result there; -ENOSYS for unknown numbers. */
void hostcall_dispatch(struct host_context *ctx, struct host_thread *ht);
"""


def gen_dispatch_h(calls):
    out = [BANNER + DISPATCH_H]
    out += [prototype(c, "host_", "struct host_context *ctx") + ";" for c in calls]
    return "\n".join(out) + "\n\n#endif\n"


def gen_serve(call):
    out = [f"static int64_t serve_{call.name}(struct host_context *ctx, const uint64_t *args,",
           f"{' ' * len('static int64_t serve_' + call.name)} uint8_t *data)", "{"]
    for s in call.slots:
        cast = "" if s.kind == "u64" else f"({s.ctype})"
        out.append(f"    {s.ctype} {s.name} = {cast}args[{s.slot}];")
    out.append("")
    if not call.slots:
        out.append("    (void)args;")
    if not call.buffers():
        out.append("    (void)data;")
    for s in call.slots:
        if s.kind in ("i32", "u32"):
            back = "(uint64_t)(int64_t)" if s.kind == "i32" else ""
            out.append(f"    if ({back}{s.name} != args[{s.slot}])")
            out.append("        return -EINVAL;")
    tests = call_tests(call)
    if tests:
        out.append(f"    if ({' || '.join(tests)})")
        out.append("        return -EINVAL;")
    offsets = {id(b): o for b, o in buffer_offsets(call)}
    params = ["ctx"]
    for a in call.args:
        if isinstance(a, Scalar):
            params.append(a.name)
        elif isinstance(a, Buffer):
            params.append("data" if offsets[id(a)] == "0" else f"data + {offsets[id(a)]}")
        else:
            params += [a.addr.name, a.pages.name]
    out.append(f"    return host_{call.name}({', '.join(params)});\n}}")
    return "\n".join(out)


def desc_args(call):
    kinds = {}
    for a in call.args:
        if isinstance(a, Erange):
            kinds[id(a.addr)], kinds[id(a.pages)] = "HOSTCALL_ARG_ADDR", "HOSTCALL_ARG_PAGES"
    out = [f"{{{kinds.get(id(s), 'HOSTCALL_ARG_VALUE')}, {literal(s.low, 'int64_t')}, "
           f"{s.high}ULL}}" for s in call.slots]
    return ", ".join(out) or "{0, 0, 0}"


def gen_desc(call):
    kind = {"errno": "HOSTCALL_RESULT_ERRNO", "range": "HOSTCALL_RESULT_RANGE",
            "len": "HOSTCALL_RESULT_LEN", "never": "HOSTCALL_RESULT_NEVER"}[call.result]
    slot = call.length.slot if call.length else 0
    params = "".join({Scalar: "a", Buffer: "b", Erange: "aa"}[type(a)] for a in call.args)
    buffers = ", ".join(
        f"{{{BUFFERS[b.direction]}, {b.length.slot}, {1 if b.full else 0}}}" for b in call.buffers())
    return "\n".join([
        f'    [HOSTCALL_{call.name}] = {{"{call.name}", "{params}",',
        f"        {{{desc_args(call)}}},",
        f"        {kind}, {call.low}LL, {call.high}LL, {slot},",
        f"        {len(call.buffers())}, {{{buffers or '{0, 0, 0}'}}}}},"])


def gen_descs_c(calls):
    out = [BANNER, '#include "hostcall_desc.h"\n',
           "const struct hostcall_desc hostcall_descs[HOSTCALL_COUNT] = {"]
    out += [gen_desc(c) for c in calls]
    return "\n".join(out) + "\n};\n"


def gen_dispatch_c(calls):
    out = [BANNER, '#include "hostcall_dispatch.h"\n#include <errno.h>\n#include <string.h>\n'
           '#include "layout.h"\n']
    if uses(calls, lambda a: isinstance(a, Erange)):
        out.append(ERANGE.strip("\n") + "\n")
    out += [gen_serve(c) + "\n" for c in calls]
    out.append("typedef int64_t (*serve_fn)(struct host_context *, const uint64_t *, uint8_t *);\n")
    out.append("static const serve_fn g_serve[HOSTCALL_COUNT] = {")
    out += [f"    [HOSTCALL_{c.name}] = serve_{c.name}," for c in calls]
    out.append("""};

void hostcall_dispatch(struct host_context *ctx, struct host_thread *ht)
{
    uint64_t number = ht->number;
    uint64_t args[HOSTCALL_ARGS];

    memcpy(args, ht->args, sizeof(args));
    if (number == 0 || number >= HOSTCALL_COUNT) {
        ht->result = -ENOSYS;
        return;
    }
    ht->result = g_serve[number](ctx, args, ht->data);
}
""")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    outputs = ("numbers", "stubs-h", "stubs-c", "dispatch-h", "dispatch-c", "descs-c")
    for name in outputs:
        parser.add_argument("--" + name)
    args = parser.parse_args()
    with open(args.table, "rb") as f:
        raw = f.read()
    calls = parse_table(args.table, raw.decode())
    digest = int.from_bytes(hashlib.sha256(raw).digest()[:8], "little")
    makers = {"numbers": lambda: gen_numbers(calls, digest), "stubs-h": lambda: gen_stubs_h(calls),
              "stubs-c": lambda: gen_stubs_c(calls), "dispatch-h": lambda: gen_dispatch_h(calls),
              "dispatch-c": lambda: gen_dispatch_c(calls), "descs-c": lambda: gen_descs_c(calls)}
    for name in outputs:
        path = getattr(args, name.replace("-", "_"))
        if path:
            with open(path, "w", encoding="utf-8") as f:
                f.write(makers[name]())


if __name__ == "__main__":
    main()
