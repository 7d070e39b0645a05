#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes C and documentation from kernel/syscall/{syscalls,flags,structs}.tbl.

  --header FILE    prototypes of all served calls (syscalls.gen.h)
  --dispatch FILE  one typed wrapper a served call, and the dispatch table (syscall_table.gen.h)
  --strace FILE    names and argument types for --strace (trace_tables.gen.h)
  --docs FILE      docs/compatibility.md
  --check FILE     exit 1 when FILE differs from what --docs would write
  --have PATH...   C sources or folders to look for definitions `long sys_NAME(`
  --partial        a served call without a definition answers -ENOSYS instead of failing the build
  --depfile FILE   what --have read, for the build

Without --have every served call is taken to be defined."""

import argparse
import os
import re
import sys

STATUS = ('served', 'planned', 'refused')
CLASSES = ('file', 'desc', 'memory', 'process', 'signal', 'network', 'ipc')
RESULTS = ('dec', 'fd', 'hex', 'oct', 'none')
REGS = ('rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9')
NO_LEN = 0xff
FIXED_LEN = 0x80
BANNER = 'Made by scripts/gen-syscalls.py from the tables of kernel/syscall: do not edit.'

# type: C type, kind, width of the number in bytes
PLAIN = {
    'fd': ('int ', 'FD', 4), 'dirfd': ('int ', 'FD', 4), 'ufd': ('unsigned ', 'FD', 4),
    'path': ('const char __user *', 'STR', 8), 'str': ('const char __user *', 'STR', 8),
    'str_out': ('char __user *', 'STR:out', 8),
    'strv': ('const char __user *const __user *', 'STRV', 8),
    'int': ('int ', 'DEC', 4), 'uint': ('unsigned ', 'UDEC', 4), 'long': ('long ', 'DEC', 8),
    'ulong': ('unsigned long ', 'UDEC', 8), 'size': ('size_t ', 'UDEC', 8),
    'off': ('loff_t ', 'DEC', 8), 'u64': ('u64 ', 'UDEC', 8),
    'hex': ('unsigned long ', 'HEX', 8), 'addr': ('unsigned long ', 'ADDR', 8),
    'ptr': ('void __user *', 'ADDR', 8), 'cptr': ('const void __user *', 'ADDR', 8),
    'mode': ('mode_t ', 'OCT', 4), 'omode': ('mode_t ', 'OMODE', 4),
    'uid': ('uid_t ', 'DEC', 4), 'gid': ('gid_t ', 'DEC', 4), 'pid': ('pid_t ', 'DEC', 4),
    'signal': ('int ', 'SIGNAL', 4), 'clock': ('clockid_t ', 'ENUM:clock', 4),
    'sigset_in': ('const sigset64_t __user *', 'SIGSET', 8),
    'sigset_out': ('sigset64_t __user *', 'SIGSET:out', 8),
    'int_in': ('const int __user *', 'NUM', 4), 'int_out': ('int __user *', 'NUM:out', 4),
    'uint_out': ('unsigned __user *', 'NUM:out', 4),
    'ulong_out': ('unsigned long __user *', 'NUM:out', 8),
    'off_inout': ('loff_t __user *', 'NUM', 8),
    'pair_out': ('int __user *', 'PAIR:out', 4),
    'fdset': ('unsigned long __user *', 'ADDR', 8),
    'none': ('', 'NONE', 8),
}
SETS = {
    'flags': ('int ', 'MASK', 4), 'uflags': ('unsigned ', 'MASK', 4),
    'lflags': ('unsigned long ', 'MASK', 8),
    'enum': ('int ', 'ENUM', 4), 'uenum': ('unsigned ', 'ENUM', 4),
    'lenum': ('unsigned long ', 'ENUM', 8),
}
FIELD_KINDS = {
    'dec': 'DEC', 'udec': 'UDEC', 'hex': 'HEX', 'oct': 'OCT', 'ptr': 'ADDR', 'fd': 'FD',
    'str': 'CHARS',
    'filemode': 'FILEMODE', 'rlim': 'RLIM', 'signal': 'SIGNAL', 'sigset': 'SIGSET_VALUE',
    'handler': 'HANDLER', 'more': 'MORE', 'mask': 'MASK', 'enum': 'ENUM', 'struct': 'STRUCT',
}

class Bad(Exception):
    pass


def lines_of(path):
    """Logical lines without comments: a `{` goes on to its `}`, an indented line goes on too."""
    pending = ''
    with open(path, encoding='ascii') as f:
        for raw in f:
            line = raw.split('#', 1)[0].rstrip() if not raw.startswith('#') else ''
            if not line:
                continue
            if pending and not line[0].isspace() and pending.count('{') <= pending.count('}'):
                yield pending
                pending = ''
            pending = (pending + ' ' + line.strip()).strip()
    if pending:
        yield pending


def parse_flags(path):
    sets = {}
    for line in lines_of(path):
        m = re.fullmatch(r'(mask|enum) (\w+): (.*)', line)
        if not m:
            raise Bad(f'{path}: {line}')
        entries = []
        for group, members, word in re.findall(r'(\w+)\{([^}]*)\}|(\S+)', m[3]):
            if group:
                entries += [(name, name, group) for name in members.split()]
                continue
            zero = word.startswith('zero:')
            name, _, value = word.removeprefix('zero:').partition('=')
            value = '0' if zero else value or name
            entries.append((name, value, '0xffffffffu' if zero or m[1] == 'enum' else value))
        sets[m[2]] = (m[1], entries)
    return sets


def parse_structs(path):
    structs, variants = {}, {}
    for line in lines_of(path):
        m = re.fullmatch(r'struct (\w+) = ([\w ]+?) \{ (.*) \}', line)
        if m:
            fields = []
            for item in m[3].split(';'):
                f = re.fullmatch(r'(\w+)(?:\((\w+)\))?(?: (\w+)(?::(\w+))?)?', item.strip())
                if not f or f[1] not in FIELD_KINDS:
                    raise Bad(f'{path}: {item}')
                fields.append((f[1], f[2], f[3], f[4] or f[3]))
            structs[m[1]] = (m[2], fields)
            continue
        m = re.fullmatch(r'variant (\w+) \{ (.*) \}', line)
        if not m:
            raise Bad(f'{path}: {line}')
        variants[m[1]] = [tuple(item.strip().split(' ', 1)) for item in m[2].split(';')]
    return structs, variants


class Arg:
    """One argument: C type and how strace prints it."""

    def __init__(self, tables, text, name, names):
        m = re.fullmatch(r'(\w+)(?:\(([^)]*)\))?', text)
        base, param = (m[1], m[2]) if m else (None, None)
        self.name, self.out, self.param, self.length = name, False, '0', NO_LEN
        if base == 'path':
            self.param = '1'  # printed in full
        if base == 'omode':
            self.length = names.index(name) - 1
        if base in ('ptr', 'cptr') and param:
            self.ctype = ('const ' if base == 'cptr' else '') + param + ' __user *'
            self.kind, self.width = 'ADDR', 8
        elif base in PLAIN and not param:
            self.ctype, kind, self.width = PLAIN[base]
            self.kind, _, extra = kind.partition(':')
            self.out = extra == 'out'
            if self.kind == 'ENUM':
                self.param = f'SET_{extra}'
        elif base in SETS and param in tables.sets:
            self.ctype, self.kind, self.width = SETS[base]
            self.param = f'SET_{param}'
        elif base in ('buf_in', 'buf_out', 'iov_in', 'iov_out') and param in names:
            const = 'const ' if base != 'buf_out' else ''
            target = 'void' if base.startswith('buf') else 'struct iovec'
            self.ctype, self.width = f'{const}{target} __user *', 8
            self.kind, self.out = base[:3].upper(), base.endswith('out')
            self.length = names.index(param)
        elif base in ('in', 'out', 'inout') and param:
            self.pointer(tables, base, param, names)
        elif base == 'by' and param:
            which, _, variant = param.partition(':')
            if which not in names or variant not in tables.variants:
                raise Bad(f'by({param})')
            self.ctype, self.kind, self.width = 'unsigned long ', 'BY', 8
            self.param, self.length = f'VARIANT_{variant}', names.index(which)
        else:
            raise Bad(f'type {text}')

    def pointer(self, tables, base, param, names):
        m = re.fullmatch(r'(\w+)(?:\[(\w+)\])?', param)
        if not m or m[1] not in tables.structs:
            raise Bad(f'structure {param}')
        self.ctype = ('const ' if base == 'in' else '') + tables.structs[m[1]][0] + ' __user *'
        self.kind, self.width, self.out = 'STRUCT', 8, base != 'in'
        self.param = f'STRUCT_{m[1]}'
        if m[2]:
            self.length = FIXED_LEN | int(m[2]) if m[2].isdigit() else names.index(m[2])

    def desc(self):
        return (f'{{KIND_{self.kind}, {self.param}, {self.length:#x}, '
                f'{self.width}, {"true" if self.out else "false"}}}')


class Call:
    def __init__(self, tables, line):
        m = re.fullmatch(r'(\d+) (\w+)((?: %\w+)*) (\w+)(?: (E\w+))?(?: "([^"]*)")? '
                         r'\{ ?(.*?) ?\}(?: -> (\w+))?', line)
        if not m or m[4] not in STATUS or (m[8] or 'dec') not in RESULTS:
            raise Bad(line)
        self.number, self.name, self.status = int(m[1]), m[2], m[4]
        self.classes = [c.strip('%') for c in m[3].split()]
        self.errno, self.reason, self.result = m[5], m[6], m[8] or 'dec'
        if (self.status == 'refused') != bool(self.errno) or \
                (self.status != 'served' and not self.reason) or \
                any(c not in CLASSES for c in self.classes):
            raise Bad(line)
        pairs = [tuple(a.strip().rsplit(' ', 1)) for a in m[7].split(';')] if m[7] else []
        names = [name for _, name in pairs]
        if len(pairs) > 6:
            raise Bad(line)
        try:
            self.args = [Arg(tables, text, name, names) for text, name in pairs]
        except Bad as e:
            raise Bad(f'{self.name}: {e}') from None

    def prototype(self):
        args = ', '.join(a.ctype + a.name for a in self.args)
        return f'long sys_{self.name}({args or "void"})'

    def wrapper(self):
        args = ', '.join(f'({a.ctype.rstrip()})r->{reg}' for a, reg in zip(self.args, REGS))
        unused = '' if self.args else '    (void)r;\n'
        return (f'static long call_{self.name}(const struct regs *r)\n{{\n{unused}'
                f'    return sys_{self.name}({args});\n}}\n')


class Tables:
    def __init__(self, folder):
        self.sets = parse_flags(os.path.join(folder, 'flags.tbl'))
        self.structs, self.variants = parse_structs(os.path.join(folder, 'structs.tbl'))
        self.calls = []
        for line in lines_of(os.path.join(folder, 'syscalls.tbl')):
            self.calls.append(Call(self, line))
        numbers = [c.number for c in self.calls]
        if numbers != sorted(set(numbers)) or len({c.name for c in self.calls}) != len(numbers):
            raise Bad('syscalls.tbl: numbers must rise and names differ')
        self.count = numbers[-1] + 1


# ---- Definitions ---------------------------------------------------------------------------------

def sources(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
            continue
        for folder, dirs, files in os.walk(path):
            dirs[:] = sorted(d for d in dirs if d != 'test')
            yield from (os.path.join(folder, f) for f in sorted(files) if f.endswith('.c'))


def defined(paths):
    """Names of defined handlers, and the files and folders that were read."""
    names, seen = set(), set()
    for path in sources(paths):
        seen.update((path, os.path.dirname(path)))
        with open(path, encoding='utf-8') as f:
            names.update(re.findall(r'^long sys_(\w+)\(', f.read(), re.M))
    return names, sorted(seen)


def resolve(tables, args):
    """The calls to dispatch."""
    served = [c for c in tables.calls if c.status == 'served']
    if not args.have:
        return served
    names, seen = defined(args.have)
    if args.depfile:
        out = args.header or args.dispatch
        with open(args.depfile, 'w', encoding='utf-8') as f:
            f.write(f'{out}: {" ".join(seen)}\n')
    missing = [c.name for c in served if c.name not in names]
    extra = sorted(names - {c.name for c in served})
    if (missing or extra) and not args.partial:
        raise Bad(f'served without a definition: {" ".join(missing) or "none"}; '
                  f'defined but not served: {" ".join(extra) or "none"}')
    for title, found in (('served, not defined', missing), ('defined, not served', extra)):
        if found and args.verbose:
            print(f'{title}: {" ".join(found)}', file=sys.stderr)
    return [c for c in served if c.name in names]


# ---- Output --------------------------------------------------------------------------------------

def head(text):
    return f'/* SPDX-License-Identifier: MIT */\n/* {BANNER}\n * {text} */\n'


def make_header(tables):
    calls = [c for c in tables.calls if c.status == 'served']
    tags = sorted(set(re.findall(r'\bstruct \w+', ' '.join(c.prototype() for c in calls))))
    out = [head('Prototypes of the system calls that are served.'),
           '#ifndef SYSCALLS_GEN_H\n#define SYSCALLS_GEN_H\n\n#include <kernel/signal.h>\n'
           '#include <kernel/types.h>\n\n', f'#define SYSCALL_COUNT {tables.count}u\n\n']
    out += [f'{t};\n' for t in tags] + ['\n']
    out += [c.prototype() + ';\n' for c in calls]
    return ''.join(out) + '\n#endif\n'


def make_dispatch(tables, served):
    out = [head('Typed wrappers and the dispatch table, for table.c.') + '\n']
    out += [c.wrapper() + '\n' for c in served]
    out.append('const syscall_fn g_syscall_table[SYSCALL_COUNT] = {\n')
    have = {c.number for c in served}
    names = {c.number: c.name for c in tables.calls}
    out += [f'    [{n}] = {"call_" + names[n] if n in have else "syscall_unserved"},\n'
            for n in range(tables.count)]
    return ''.join(out) + '};\n'


def c_sets(tables):
    out = []
    for name, (_, entries) in tables.sets.items():
        out.append(f'static const struct flag_name set_{name}[] = {{\n')
        out += [f'    {{(u32)({value}), (u32)({mask}), "{label}"}},\n'
                for label, value, mask in entries]
        out.append('};\n')
    out.append('const struct flag_set g_flag_sets[] = {\n')
    is_enum = {'enum': 'true', 'mask': 'false'}
    out += [f'    [SET_{name}] = {{set_{name}, ARRAY_COUNT(set_{name}), {is_enum[kind]}}},\n'
            for name, (kind, _) in tables.sets.items()]
    return out + ['};\n\n']


def c_structs(tables):
    out = []
    for name, (ctype, fields) in tables.structs.items():
        out.append(f'static const struct struct_field fields_{name}[] = {{\n')
        for kind, param, field, label in fields:
            index = {'mask': f'SET_{param}', 'enum': f'SET_{param}',
                     'struct': f'STRUCT_{param}'}.get(kind, '0')
            if kind == 'more':
                out.append('    {.kind = KIND_MORE},\n')
                continue
            out.append(f'    {{"{label}", offsetof({ctype}, {field}), '
                       f'sizeof((({ctype} *)0)->{field}), KIND_{FIELD_KINDS[kind]}, {index}}},\n')
        out.append('};\n')
    out.append('const struct struct_desc g_struct_descs[] = {\n')
    out += [f'    [STRUCT_{n}] = {{fields_{n}, ARRAY_COUNT(fields_{n}), sizeof({ctype})}},\n'
            for n, (ctype, _) in tables.structs.items()]
    return out + ['};\n\n']


def c_variants(tables):
    out = []
    for name, cases in tables.variants.items():
        out.append(f'static const struct variant_case cases_{name}[] = {{\n')
        out += [f'    {{(u32)({value}), {Arg(tables, text, "arg", []).desc()}}},\n'
                for value, text in cases]
        out.append('};\n')
    out.append('const struct variant_desc g_variants[] = {\n')
    out += [f'    [VARIANT_{n}] = {{cases_{n}, ARRAY_COUNT(cases_{n})}},\n'
            for n in tables.variants]
    return out + ['};\n\n']


def c_calls(tables):
    out = ['const struct syscall_desc g_syscall_descs[SYSCALL_COUNT] = {\n']
    for c in tables.calls:
        classes = ' | '.join(f'CLASS_{k.upper()}' for k in c.classes) or '0'
        error = c.errno or ('ENOSYS' if c.status == 'planned' else '0')
        out.append(f'    [{c.number}] = {{"{c.name}", {error}, {classes}, '
                   f'RESULT_{c.result.upper()}, {len(c.args)}')
        out += [f',\n         {"{" if i == 0 else " "}{a.desc()}' for i, a in enumerate(c.args)]
        out.append('}},\n' if c.args else ', {}},\n')
    return out + ['};\n']


def make_strace(tables):
    out = [head('Names and argument types, for trace_tables.c.') + '\n']
    for prefix, names in (('SET', tables.sets), ('STRUCT', tables.structs),
                          ('VARIANT', tables.variants)):
        out.append('enum { ' + ', '.join(f'{prefix}_{n}' for n in names) + ' };\n')
    out.append('const unsigned g_set_signal = SET_signal, g_set_sicode = SET_sicode, '
               'g_set_sigcode = SET_sigcode;\n\n')
    return ''.join(out + c_sets(tables) + c_structs(tables) + c_variants(tables) + c_calls(tables))


def make_docs(tables):
    count = {s: sum(c.status == s for c in tables.calls) for s in STATUS}
    out = ['# System calls\n\n', f'<!-- {BANNER} -->\n\n',
           f'Of the {len(tables.calls)} system calls of x86-64 Linux 6.x, Adyton serves '
           f'{count["served"]}; {count["planned"]} are planned and answer `ENOSYS`; '
           f'{count["refused"]} are refused by decision with the errno given. A number that is not '
           'listed answers `ENOSYS`.\n\n']
    out.append('## Served\n\n')
    served = sorted(c.name for c in tables.calls if c.status == 'served')
    out.append(wrap([f'`{name}`' for name in served]) + '\n')
    notes = [c for c in tables.calls if c.status == 'served' and c.reason]
    if notes:
        out.append('With these limits:\n\n| Call | Number | Limit |\n|---|---|---|\n')
        out += [f'| `{c.name}` | {c.number} | {c.reason} |\n' for c in notes]
        out.append('\n')
    out.append('## Planned\n\n| Call | Number | Comes with |\n|---|---|---|\n')
    out += [f'| `{c.name}` | {c.number} | {c.reason} |\n'
            for c in tables.calls if c.status == 'planned']
    out.append('\n## Refused\n\n| Call | Number | Errno | Why |\n|---|---|---|---|\n')
    out += [f'| `{c.name}` | {c.number} | `{c.errno}` | {c.reason} |\n'
            for c in tables.calls if c.status == 'refused']
    return ''.join(out)


def wrap(words, width=100):
    lines, line = [], ''
    for i, word in enumerate(words):
        word += ',' if i + 1 < len(words) else '.'
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = ''
        line = f'{line} {word}'.strip()
    return '\n'.join(lines + [line]) + '\n'


def write(path, text):
    """Leaves an unchanged file alone, so that the build does not compile everything again."""
    if os.path.exists(path):
        with open(path, encoding='ascii') as f:
            if f.read() == text:
                return
    with open(path, 'w', encoding='ascii') as f:
        f.write(text)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--tables', default=os.path.join(here, '..', 'kernel', 'syscall'))
    for name in ('header', 'dispatch', 'strace', 'docs', 'check', 'depfile'):
        p.add_argument('--' + name, metavar='FILE')
    p.add_argument('--have', nargs='+', metavar='PATH')
    p.add_argument('--partial', action='store_true')
    p.add_argument('--verbose', action='store_true')
    args = p.parse_args()
    try:
        tables = Tables(args.tables)
        served = resolve(tables, args)
    except (Bad, OSError) as e:
        sys.exit(f'gen-syscalls.py: {e}')
    if args.header:
        write(args.header, make_header(tables))
    if args.dispatch:
        write(args.dispatch, make_dispatch(tables, served))
    if args.strace:
        write(args.strace, make_strace(tables))
    if args.docs:
        write(args.docs, make_docs(tables))
    if args.check:
        with open(args.check, encoding='ascii') as f:
            if f.read() != make_docs(tables):
                sys.exit(f'{args.check} is stale: run scripts/gen-syscalls.py --docs {args.check}')


if __name__ == '__main__':
    main()
