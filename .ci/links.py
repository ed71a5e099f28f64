"""Follows every link and path of the documents, and of the comments in the code. Standard library, no network.

    python3 .ci/links.py

- A relative link of a *.md file, or of a rustdoc comment, leads to a file or folder that is there, and its #anchor to a
  heading, by GitHub's rules for anchors. Links to other hosts are only read.
- A path in backticks is there: one that begins with a folder of the project, seen from the root (`crates/ledger`), one
  that ends as a source file does, as the end of a path (`http/access.rs`). * and .. stand for anything.
  Files that a document makes up are named in it: <!-- invented: NAME NAME -->.
- A document that is named in the code (docs/planner.md) is there.
"""

import difflib
import fnmatch
import functools
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
LISTED = subprocess.run(LIST, cwd=ROOT, text=True, capture_output=True, check=True).stdout
FILES = sorted(name for name in set(LISTED.split("\0")) if name and (ROOT / name).is_file())
FOLDERS = {str(parent) for name in FILES for parent in pathlib.PurePath(name).parents}
TOP = {name.split("/")[0] for name in FILES if "/" in name}
SOURCE = re.compile(r"\.(rs|md|toml|yaml|json|jsonl|lua|py|js|css|snap|html)$")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(<?([^()\s<>]+)>?(?:\s+\"[^\"]*\")?\)|^ *\[[^\]\n]+\]:\s+(\S+)", re.MULTILINE)
wrong = []


def say(name, number, what, right=""):
    wrong.append(f"{name}:{number}: {what}" + (f": {right}" if right else ""))


def prose(name):
    """Its lines with their numbers, without blocks of code."""
    fence = None
    for number, line in enumerate((ROOT / name).read_text().split("\n"), 1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if fence is None and mark:
            fence = mark[1]
        elif fence is not None:
            if line.strip() == fence:
                fence = None
        else:
            yield number, line


@functools.cache
def anchors(name):
    found, seen = [], {}
    for _, line in prose(name):
        found += re.findall(r"<a (?:id|name)=\"([^\"]+)\"", line)
        heading = re.match(r" {0,3}#{1,6}\s+(.*?)\s*#*$", line)
        if not heading:
            continue
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        again = seen.get(slug, 0)
        seen[slug] = again + 1
        found.append(f"{slug}-{again}" if again else slug)
    return found


def near(word, words):
    close = difflib.get_close_matches(word, words, 1, 0.4)
    return f"expected, perhaps, {close[0]}" if close else "there is none alike"


def elsewhere(path):
    """Where a file of this name is."""
    found = [name for name in FILES if pathlib.PurePath(name).name == pathlib.PurePath(path).name]
    return f"expected, perhaps, {' or '.join(found[:3])}" if found else near(path, FILES)


def follow(name, number, target):
    address = urllib.parse.urlsplit(target)
    if address.scheme or address.netloc:
        if address.scheme == "mailto":
            return
        if address.scheme not in ("http", "https") or not re.fullmatch(r"[\w.-]+\.[a-z]+(:\d+)?", address.netloc):
            say(name, number, f"{target} is no address", "expected https://HOST/PATH")
        return
    path = name
    if address.path:
        folder = "" if address.path.startswith("/") else str(pathlib.PurePath(name).parent)
        steps = []
        for step in (folder + "/" + urllib.parse.unquote(address.path)).split("/"):
            if step == "..":
                if not steps:
                    return say(name, number, f"{target} leads out of the project")
                steps.pop()
            elif step not in ("", "."):
                steps.append(step)
        path = "/".join(steps) or "."
    if path not in FOLDERS and path not in FILES:
        say(name, number, f"{target} is not there", elsewhere(path))
    elif address.fragment and path.endswith(".md") and address.fragment not in anchors(path):
        say(name, number, f"{target}: no such heading", near(address.fragment, anchors(path)))


def look_for(name, number, path):
    """A path in backticks, as far as it plainly is one."""
    path = path.rstrip("/")
    pattern = path.replace("..", "*")
    if not re.fullmatch(r"[\w.*/-]+", pattern) or "/" not in path or path.startswith(("/", "..")) or "://" in path:
        return
    if path.split("/")[0] in TOP:
        # What a build or a run leaves is ignored by git; that it may be there is said in .gitignore.
        ignored = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0
        if not ignored and not any(fnmatch.fnmatchcase(found, pattern) for found in [*FILES, *FOLDERS]):
            say(name, number, f"`{path}` is not there", elsewhere(path))
    elif SOURCE.search(path) and not any(fnmatch.fnmatchcase(found, "*/" + pattern) for found in FILES):
        say(name, number, f"`{path}`: no path ends so", elsewhere(path))


def document(name):
    lines = dict(prose(name))
    text = "\n".join(lines.get(number, "") for number in range(1, max(lines) + 1))
    invented = " ".join(re.findall(r"<!-- invented: (.*?) -->", text)).split()
    # A comment is not read. Code may look like a link, and links have code for a text: both may go on in the next line.
    text = re.sub(r"<!--.*?-->", lambda comment: re.sub(r"[^\n]", " ", comment[0]), text, flags=re.DOTALL)
    code = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")
    for found in code.finditer(text):
        if pathlib.PurePath(found[1]).name not in invented:
            look_for(name, text.count("\n", 0, found.start()) + 1, found[1])
    text = code.sub(lambda found: re.sub(r"[^\n]", "x", found[0]), text)
    for found in LINK.finditer(text):
        follow(name, text.count("\n", 0, found.end()) + 1, found[1] or found[2])


def source(name):
    for number, line in enumerate((ROOT / name).read_text(errors="replace").split("\n"), 1):
        if re.match(r"\s*//[/!]", line):
            for found in LINK.finditer(line):
                if ".md" in (found[1] or found[2]):
                    follow(name, number, found[1] or found[2])
        for path in re.findall(r"(?<![\w-])docs/[\w./-]*\.md\b", line):
            if path not in FILES:
                say(name, number, f"{path} is not there", elsewhere(path))


for each in FILES:
    if each.endswith(".md"):
        document(each)
    elif each.endswith((".rs", ".toml", ".yaml", ".py")) or each in (".ci/run", ".ci/deep", "deploy/Dockerfile"):
        source(each)
if wrong:
    sys.exit("\n".join(wrong))
documents = [name for name in FILES if name.endswith(".md")]
print(f"{len(documents)} documents: every link leads somewhere, and every path is there")
