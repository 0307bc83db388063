# SPDX-License-Identifier: Apache-2.0
"""No file has stray blanks, what .editorconfig forbids, or traces of where it was made."""

import fnmatch
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import source

# Not ours, so not to be changed.
FOREIGN = ("LICENSE",)

# Characters that make text look like what it is not.
DECEPTIVE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# A message stays in one piece, however long.
LITERAL_ONLY = re.compile(r'^\s*"(?:\\.|[^"\\])*"[\s,;(){}]*$')

# Package sources are the user's choice: scripts ask apt and npm for them.
MIRRORS = re.compile(
    r"\b(?:deb|ftp(?:\.\w\w)?|security|snapshot|archive|ports|mirrors?)\.(?:debian|ubuntu)\.\w+"
    r"|\bregistry\.(?:npmjs|yarnpkg)\.\w+|\bfiles\.pythonhosted\.org|\bproxy\.golang\.org"
    r"|https?://(?:[\w.-]*\.)?(?:apt|deb|mirrors?|artifactory|nexus)[\w-]*\.[\w.-]+",
    re.IGNORECASE,
)
PLACES = re.compile(r"(?<![\w.~$})-])/(?:home|Users|work|root)/[\w.]")
OUTSIDE = re.compile(r"\.\./(?:shared|reference|design)\b")
DOCUMENT = re.compile(r"(?<![\w/])Documentation/[\w-]+\.(?:md|1)\b")


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def registry_hosts():
    """Names of the machines that this one installs from."""
    urls = output_of("apt-get", "indextargets", "--format", "$(SITE)").split()
    urls += output_of("npm", "config", "get", "registry").split()
    urls += output_of("pip3", "config", "get", "global.index-url").split()
    urls += re.split(r"[,|]", os.environ.get("GOPROXY", ""))
    hosts = {urlsplit(url.strip()).hostname for url in urls}
    return {host for host in hosts if host and "." in host and not host.startswith("127.")}


def traces():
    """(pattern, what it is a trace of)"""
    yield MIRRORS, "names a package mirror"
    hosts = "|".join(map(re.escape, sorted(registry_hosts())))
    if hosts:
        yield re.compile(rf"(?<![\w-])(?:{hosts})(?![\w-])", re.I), "names a mirror of this machine"
    yield PLACES, "names a directory of somebody's machine"
    yield re.compile(re.escape(os.getcwd()) + r"\b"), "names the directory of this checkout"
    yield OUTSIDE, "refers to what is not part of the project"


def editor_styles():
    """(pattern of a file's name, {property: value}) in the order of .editorconfig."""
    style = {}
    for line in source.read(".editorconfig").splitlines():
        section = re.match(r"\[(.*)\]$", line)
        setting = re.match(r"(\w+)\s*=\s*(\S+)$", line)
        if section:
            style = {}
            before, braced, after = re.match(r"([^{]*)(?:\{(.*)\})?(.*)", section[1]).groups()
            for choice in (braced or "").split(","):
                yield before + choice + after, style
        elif setting:
            style[setting[1]] = setting[2]


def style_of(path, styles):
    style = {}
    for pattern, settings in styles:
        if fnmatch.fnmatch(Path(path).name, pattern):
            style |= settings
    return style


def wrong_lines(text, style):
    """(line, what is wrong with it)"""
    is_code = "indent_style" in style
    by_tabs = style.get("indent_style") == "tab"
    width = int(style.get("max_line_length", 100))
    for number, line in enumerate(text.split("\n"), 1):
        indent = re.match(r"[ \t]*", line)[0]
        if line.endswith((" ", "\t", "\r")):
            yield number, "blanks at the end of the line"
        if DECEPTIVE.search(line):
            yield number, "an invisible character"
        if not is_code:
            continue
        if " \t" in indent:
            yield number, "a space before a tab"
        if not by_tabs and "\t" in indent:
            yield number, "indented by a tab; .editorconfig asks for spaces"
        if by_tabs and indent.startswith(" " * 8):
            yield number, "indented by spaces; .editorconfig asks for tabs"
        if len(line.expandtabs(8)) > width and not LITERAL_ONLY.match(line):
            yield number, f"longer than {width} columns"
        if not line.isascii():
            yield number, "a character that is not ASCII"


def wrong_words(path, text, patterns):
    for pattern, what in patterns:
        for match in pattern.finditer(text):
            yield source.line_of(text, match.start()), what
    if path == "Makefile":
        return  # it asks whether a document exists
    for match in DOCUMENT.finditer(text):
        if not Path(match[0]).is_file():
            yield source.line_of(text, match.start()), f"there is no {match[0]}"


def check_file(path, patterns, styles):
    raw = Path(path).read_bytes()
    if b"\0" in raw:
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        yield f"{path}: not UTF-8"
        return
    if raw and not raw.endswith(b"\n") or raw.endswith(b"\n\n"):
        yield f"{path}: does not end with exactly one newline"
    lines = {}
    for line, what in wrong_lines(text, style_of(path, styles)):
        lines.setdefault(what, []).append(line)
    for line, what in wrong_words(path, text, patterns):
        lines.setdefault(what, []).append(line)
    for what, where in lines.items():
        more = f" (and {len(where) - 1} more lines)" if len(where) > 1 else ""
        yield f"{path}:{where[0]}: {what}{more}"


def check():
    patterns = list(traces())
    styles = list(editor_styles())
    for path in source.walk():
        if path not in FOREIGN:
            yield from check_file(path, patterns, styles)


source.main(check)
