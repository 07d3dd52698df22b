#!/usr/bin/env python3
# Copyright 2026 the Spillway authors
# SPDX-License-Identifier: Apache-2.0
#
# Writes the manual page of the tool, as mdoc(7), from what it says of its own verbs and options:
#
#     spillway --experimental-dump-help | scripts/man-page.py VERSION > spillway.1
#
# The page has the date of SOURCE_DATE_EPOCH, or of today.
import json
import os
import re
import sys
import textwrap
import time


def escaped(text):
    return text.replace("\\", "\\e")


def argument(text):
    """A word of a macro line: short words and marks could be taken for macros or delimiters."""
    text = text.replace("\\", "\\e").replace('"', '\\(dq')
    if len(text) <= 3 or not text[0].isalnum():
        text = "\\&" + text
    return f'"{text}"' if " " in text else text


def prose(text):
    """Lines of text, each sentence on its own as mdoc wants it."""
    lines = []
    for paragraph in text.strip().split("\n\n"):
        if lines:
            lines.append(".Pp")
        for sentence in re.split(r"(?<=[.:;])\s+(?=[A-Z\d'])|\n", paragraph):
            for line in textwrap.wrap(escaped(sentence), 78, break_long_words=False, break_on_hyphens=False):
                lines.append("\\&" + line if line[0] in ".'" else line)
    return lines


def flags(option):
    """The names of an option, the short one first."""
    names = sorted(option["names"], key=lambda name: name["kind"] != "short")
    return [("" if name["kind"] == "short" else "-") + name["name"] for name in names]


def item(option):
    value = argument(option["valueName"])
    if option["kind"] == "positional":
        return f".It Ar {value}"
    words = []
    for name in flags(option):
        words.append(f"Fl {name}" + (f" Ar {value}" if option["kind"] == "option" else ""))
    return ".It " + " , ".join(words)


def meaning(option):
    lines = prose(option.get("abstract", ""))
    if option.get("allValues"):
        lines.append("One of")
        values = option["allValues"]
        for k, value in enumerate(values):
            lines.append(f".Cm {argument(value)}" + (" ." if k == len(values) - 1 else " ,"))
    if option.get("defaultValue") not in (None, ""):
        lines += ["The default is", f".Cm {argument(option['defaultValue'])} ."]
    if option["isRepeating"]:
        lines.append("May be given more than once.")
    return lines


def synopsis(verb):
    lines = [f".Nm spillway {argument(verb['commandName'])}"]
    if any(option["kind"] != "positional" for option in shown(verb)):
        lines.append(".Op Ar options")
    for option in shown(verb):
        if option["kind"] == "positional":
            value = argument(option["valueName"]) + (" ..." if option["isRepeating"] else "")
            lines.append(f".Op Ar {value}" if option["isOptional"] else f".Ar {value}")
    return lines


def shown(verb):
    common = {"help", "version"}
    return [
        option
        for option in verb.get("arguments", [])
        if option["shouldDisplay"] and not common & {name["name"] for name in option.get("names", [])}
    ]


def page(tool, version):
    about, _, statuses = tool["discussion"].partition("Exit status: ")
    verbs = [verb for verb in tool["subcommands"] if verb["shouldDisplay"] and verb["commandName"] != "help"]
    date = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    abstract = tool["abstract"].rstrip(".")
    out = [
        '.\\" Written by scripts/man-page.py; do not edit.',
        time.strftime(".Dd %B ", date) + f"{date.tm_mday}, {date.tm_year}",
        ".Dt SPILLWAY 1",
        f".Os Spillway {version}",
        ".Sh NAME",
        ".Nm spillway",
        f".Nd {abstract[0].lower() + abstract[1:]}",
        ".Sh SYNOPSIS",
    ]
    for verb in verbs:
        out += synopsis(verb)
    out += [".Nm spillway", ".Fl -version", ".Nm spillway help", ".Op Ar verb"]
    out += [".Sh DESCRIPTION"] + prose(about) + [".Sh VERBS"]
    for verb in verbs:
        out += [f".Ss spillway {argument(verb['commandName'])}"] + prose(verb.get("abstract", ""))
        if verb.get("discussion"):
            out += [".Pp"] + prose(verb["discussion"])
        if shown(verb):
            out.append(".Bl -tag -width Ds")
            for option in shown(verb):
                out += [item(option)] + meaning(option)
            out.append(".El")
    out += [".Sh EXIT STATUS", ".Bl -tag -width Ds"]
    for status in statuses.rstrip(".\n").split(";"):
        number, _, text = status.strip().partition(" ")
        out += [f".It {number}"] + prose(text)
    out += [".El", ".Sh SEE ALSO", ".Xr packet 7 ,", ".Xr pcap\\-filter 7 ,", ".Xr tcpdump 8"]
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: spillway --experimental-dump-help | man-page.py VERSION")
    sys.stdout.write(page(json.load(sys.stdin)["command"], sys.argv[1]))


main()
