#!/usr/bin/env python3
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
"""make-patterns.py [COUNT [SEED]]

Writes patterns for a PatternMatcher to standard output, one a line: 1000 with seed 1 unless told otherwise. They look like
what rules against attacks on web servers ask for - paths of scripts, SQL, script code, shell commands, bytes of machine
code - of 5 to 40 bytes, many with a beginning in common. The same seed gives the same patterns.
"""
import random
import sys

WORDS = """admin login shell upload config backup setup index user data file system test info php cgi query search
export import debug status manager console plugin theme gallery cart order news forum board calendar mail proxy""".split()
DIRECTORIES = ["/cgi-bin/", "/wp-content/plugins/", "/scripts/", "/phpmyadmin/", "/_vti_bin/", "/admin/", "/manager/", "/"]
ENDINGS = [".php", ".asp", ".cgi", ".pl", ".jsp", ".exe", ".dll", ".bak", ".php?cmd=", ".cfm", ".sh"]
SQL = ["union select ", "insert into ", "drop table ", "exec xp_", "order by ", "waitfor delay '", "declare @", "' or '"]
CODE = ["eval(", "document.", "<script src=", "javascript:", "onerror=", "String.fromCharCode(", "base64_decode(", "${jndi:"]
SHELL = ["; cat /etc/", "| wget http://", "`id` ", "; rm -rf /", "&& curl ", "/bin/", "../../../", "..%2f..%2f", "%00.."]


def name(r):
    word = r.choice(WORDS)
    return word + r.choice(["", "_", "-"]) + r.choice(WORDS) if r.random() < 0.6 else word + str(r.randrange(1000))


def pattern(r):
    kind = r.random()
    if kind < 0.40:
        return r.choice(DIRECTORIES) + name(r) + r.choice(ENDINGS)
    if kind < 0.55:
        return r.choice(SQL) + name(r)
    if kind < 0.70:
        return r.choice(CODE) + name(r)
    if kind < 0.85:
        return r.choice(SHELL) + name(r)
    return "".join(f"\\x{r.randrange(256):02x}" for _ in range(r.randrange(5, 17)))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    r = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    patterns = {}
    while len(patterns) < count:
        # Without regard to case they must be different, too.
        found = pattern(r)
        patterns.setdefault(found.lower(), found)
    print("\n".join(patterns.values()))


if __name__ == "__main__":
    main()
