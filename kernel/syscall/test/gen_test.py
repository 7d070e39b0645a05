#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gen-syscalls.py refuses tables that are wrong, says where, and notices a missing handler."""
import os
import subprocess
import sys
import tempfile

GENERATOR, TABLES = sys.argv[1:3]
ROW = '39 getpid %process served { }'

# What the row for getpid becomes, and what the complaint must name.
BAD_ROWS = [
    ('39 getpid %process served', 'getpid'),
    ('39 getpid %nonsense served { }', 'getpid'),
    ('39 getpid planned { }', 'getpid'),
    ('39 getpid refused "no errno" { }', 'getpid'),
    ('39 getpid planned { }', 'getpid'),
    ('39 getpid served { number x }', 'number'),
    ('39 getpid served { flags(nonsense) x }', 'nonsense'),
    ('39 getpid served { buf_in(size) x }', 'size'),
    ('39 getpid served { in(nonsense) x }', 'nonsense'),
    ('39 getpid served { int a; int b; int c; int d; int e; int f; int g }', 'getpid'),
    ('39 getpid served { } -> nonsense', 'getpid'),
    ('39 read served { }', 'numbers must rise and names differ'),
    ('5000 getpid served { }', 'numbers must rise and names differ'),
]


def generate(folder, *options):
    return subprocess.run([sys.executable, GENERATOR, '--tables', folder, *options],
                          capture_output=True, text=True, timeout=60, check=False)


def write_tables(folder, row):
    for name in ('syscalls.tbl', 'flags.tbl', 'structs.tbl'):
        with open(os.path.join(TABLES, name), encoding='ascii') as f:
            text = f.read()
        assert name != 'syscalls.tbl' or ROW in text
        with open(os.path.join(folder, name), 'w', encoding='ascii') as f:
            f.write(text.replace(ROW, row))


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_tables(folder, ROW)
        assert generate(folder).returncode == 0
        for row, complaint in BAD_ROWS:
            write_tables(folder, row)
            result = generate(folder)
            assert result.returncode == 1 and complaint in result.stderr, (row, result.stderr)
        write_tables(folder, ROW)
        source, header = os.path.join(folder, 'a.c'), os.path.join(folder, 'a.h')
        with open(source, 'w', encoding='ascii') as f:
            f.write('long sys_getpid(void)\n{\n}\nlong sys_ptrace(void)\n{\n}\n')
        result = generate(folder, '--have', source)
        assert 'served without a definition: read write' in result.stderr, result.stderr
        assert 'defined but not served: ptrace' in result.stderr, result.stderr
        result = generate(folder, '--have', source, '--partial', '--dispatch', header)
        assert result.returncode == 0, result.stderr
        with open(header, encoding='ascii') as f:
            text = f.read()
        assert '[39] = call_getpid' in text and '[0] = syscall_unserved' in text


main()
