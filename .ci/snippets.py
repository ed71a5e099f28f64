"""Runs what the documents tell a reader to type, and holds what it prints against what they show.

    python3 .ci/snippets.py --bin-dir target/debug [DOCUMENT ..]

Python 3.11, bash, curl, jq and openssl are needed, nothing else. Each document has a shell of its own in a folder of its
own, with copies of benches/, crates/, deploy/ and docs/, and its blocks are run in their order:

- bash, sh: every command has to end with 0, and no answer to curl may be an error.
- console: what follows a line that begins with "$ " is what the command writes to stdout. Output of the simulator is
  compared to the letter; where time plays a part (curl, a server, a replay) every number stands for any number, and of
  JSON the shape is compared. A line ".." stands for any lines. A curl that only reads is repeated until it fits.
- json, toml: have to parse. rust: is in one of the project's files. Other languages are counted.
- no tag, text: is no command.

A server is started in the background, on free ports, and waited for; ports of later commands are those. It is ended with
the document. Comments on the lines before a block say what cannot be seen from it:

    <!-- not run: WHY -->    it is only parsed; flags are looked up in --help, what cargo is to find in the manifests
    <!-- first: COMMANDS --> they are run before it, unseen by the reader
    <!-- ctrl-c -->          the server was stopped
    <!-- file: PATH -->      the block is this file, to the byte
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import difflib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATIENCE = 120  # seconds: for a command, a server's begin, its end
LATER = 15  # seconds for what a schedule says to change
# What reaches beyond a folder of its own, or takes long: never run from here, so always to be marked.
ELSEWHERE = {"apt-get", "cargo", "docker", "git", "kubectl", "kustomize", "sudo"}
COMMANDS = ELSEWHERE | {"curl", "engine-server", "engine-sim", "openssl", "promtool"}
# Output of these varies with time.
VARIES = re.compile(r"\bcurl\b|engine-server (?!crd|openapi|.*--check)|engine-sim (?:replay|explain)|\bdate\b")
NUMBER = re.compile(r"[-+]?\d[\d.,:TZ+/-]*")


class Wrong(Exception):
    """Something a document says is not so."""


@dataclasses.dataclass
class Block:
    document: str
    line: int
    tag: str
    text: str
    notes: list  # (what, value) of the comments before it

    def note(self, what):
        return next((value for name, value in self.notes if name == what), None)

    def __str__(self):
        return f"{self.document}:{self.line}"


def blocks(document):
    lines = iter(enumerate((ROOT / document).read_text().split("\n"), 1))
    notes = []
    for number, line in lines:
        fence = re.match(r"( *)(```+|~~~+)\s*(\S*)", line)
        if fence:
            indent, mark, tag = fence.groups()
            text = []
            for _, inner in lines:
                if inner.strip() == mark:
                    break
                text.append(inner.removeprefix(indent))
            else:
                raise Wrong(f"{document}:{number}: this block has no end")
            yield Block(document, number, tag, "\n".join(text) + "\n", notes)
            notes = []
        elif line.startswith("<!--"):
            while "-->" not in line:
                line += "\n" + next(lines)[1]
            what, _, value = line.removeprefix("<!--").strip().removesuffix("-->").strip().partition(":")
            notes.append((what, value.strip()))
        else:
            notes = []


def is_complete(command):
    """Whether bash would not wait for more."""
    parsed = subprocess.run(["bash", "-n"], input=command + "\n", text=True, capture_output=True)
    return parsed.returncode == 0 and not parsed.stderr and not command.endswith("\\")


def steps(block):
    """Its commands, each with what it is to print, or None where that is not shown."""
    prompted = block.tag == "console" or block.text.startswith("$ ")
    lines = collections.deque(block.text.rstrip("\n").split("\n"))
    while lines:
        line = lines.popleft()
        if prompted and not line.startswith("$ "):
            raise Wrong(f"{block}: expected a command after '$ ', found: {line}")
        command = line.removeprefix("$ ") if prompted else line
        while not is_complete(command):
            if not lines:
                raise Wrong(f"{block}: bash does not understand: {command}")
            command += "\n" + lines.popleft()
        printed = []
        while prompted and lines and not lines[0].startswith("$ "):
            printed.append(lines.popleft())
        if command.strip() and not command.lstrip().startswith("#"):
            yield command, "\n".join(printed).strip("\n") if prompted else None


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return str(asked.getsockname()[1])


def starts_server(command):
    words = shlex.split(command.replace("\\\n", " "), comments=True)
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    if not words or words[0] != "engine-server" or {"--check", "--help", "--version", "-h", "-V"} & set(words):
        return False
    return len(words) == 1 or words[1].startswith("-")


class Reader:
    """A reader of one document: a shell, and the servers in other terminals."""

    def __init__(self, binaries, folder):
        self.folder, self.cwd, self.ports, self.servers = folder, folder / "here", {}, []
        self.cwd.mkdir()
        for part in ("benches", "crates", "deploy", "docs"):
            shutil.copytree(ROOT / part, self.cwd / part)
        (folder / "strict").mkdir()
        (folder / "strict" / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
        # Nothing of whoever runs this: neither settings nor a home.
        path = os.pathsep.join([str(binaries), os.environ["PATH"]])
        self.environment = {"PATH": path, "HOME": str(self.cwd), "LANG": "C.UTF-8", "TZ": "UTC"}
        self.errors = (folder / "stderr").open("w+")
        self.shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", 'while read -r step; do . "$step" </dev/null; echo; echo "=ended $PWD"; done'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=self.cwd,
            env=self.environment, start_new_session=True,
        )

    def run(self, command, strict):
        command = re.sub(r"cargo run (?:--?\w+ )*--bin (\S+)(?: --(?= |$))?", r"\1", command)
        if starts_server(command):
            return self.start(command)
        if elsewhere := ELSEWHERE.intersection(command.split()):
            raise Wrong(f"{elsewhere.pop()} is not run from here: put <!-- not run: WHY --> before it")
        command = re.sub(r"(127\.0\.0\.1|localhost):(\d+)", lambda at: f"{at[1]}:{self.ports.get(at[2], at[2])}", command)
        step = self.folder / "step"
        step.write_text(f"export CURL_HOME={self.folder / ('strict' if strict else 'none')}\n{command}\n")
        self.errors.truncate(0)
        late = threading.Timer(PATIENCE, os.killpg, (self.shell.pid, signal.SIGKILL))
        late.start()
        try:
            self.shell.stdin.write(f"{step}\n")
            self.shell.stdin.flush()
            printed = []
            for line in self.shell.stdout:
                if line.startswith("=ended "):
                    self.cwd = pathlib.Path(line.removeprefix("=ended ").rstrip("\n"))
                    return "".join(printed).strip("\n")
                printed.append(line)
        finally:
            late.cancel()
        code = self.shell.wait()
        raise Wrong(f"ended with {code}\n{''.join(printed)}{(self.folder / 'stderr').read_text()}")

    def start(self, command):
        listen, metrics = (re.search(rf"--{flag}[= ](\S+):(\d+)", command) for flag in ("listen", "metrics-listen"))
        self.ports[listen[2] if listen else "80"] = api = free_port()
        self.ports[metrics[2] if metrics else "8001"] = exposed = free_port()
        command = re.sub(r" --(?:metrics-)?listen[= ]\S+", "", command)
        where = f"LISTEN=127.0.0.1:{api} METRICS_LISTEN=127.0.0.1:{exposed}"
        out, err = (self.folder / f"server{len(self.servers)}.{kind}" for kind in ("out", "err"))
        with out.open("w") as stdout, err.open("w") as stderr:
            server = subprocess.Popen(
                ["bash", "-c", f"exec env {where} {command}"], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                cwd=self.cwd, env=self.environment,
            )
        self.servers.append((server, err))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and server.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{api}/readyz", timeout=1).close()
                return out.read_text().strip("\n")
            time.sleep(0.02)
        self.servers.pop()
        server.kill()
        server.wait()
        raise Wrong(f"is not ready\n{err.read_text()}")

    def stop_servers(self):
        while self.servers:
            server, err = self.servers.pop()
            server.send_signal(signal.SIGINT)
            try:
                code = server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                code = server.wait()
            if code != 0:
                raise Wrong(f"the server ended with {code}\n{err.read_text()}")

    def end(self):
        with contextlib.suppress(OSError):
            os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.wait()
        self.errors.close()
        self.stop_servers()


def same_shape(shown, found):
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(same_shape(shown[key], found[key]) for key in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(same_shape, shown, found))
    numbers = (int, float)
    if type(shown) in numbers and type(found) in numbers:
        return True
    if isinstance(shown, str) and isinstance(found, str) and any(map(str.isdigit, shown)):
        return True
    return shown == found


def same(shown, found, varies):
    if varies:
        with contextlib.suppress(ValueError):
            shape = json.loads(shown)
            if isinstance(shape, (dict, list)):
                return same_shape(shape, json.loads(found))

    def seen(line):
        return re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip() if varies else line.rstrip()

    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == ".." else re.escape(seen(line)) + r"\n" for line in shown.split("\n")
    )
    return re.fullmatch(pattern, "".join(seen(line) + "\n" for line in found.split("\n"))) is not None


def run(block, reader):
    """Runs a block's commands; how many there were."""
    for what, value in block.notes:
        if what == "first":
            for command, _ in steps(Block(block.document, block.line, "bash", value, [])):
                reader.run(command, strict=True)
        elif what == "ctrl-c":
            reader.stop_servers()
    count = 0
    for command, shown in steps(block):
        count += 1
        try:
            found = reader.run(command, strict=shown is None)
            only_reads = command.startswith("curl") and not re.search(r" -X| -d| --data", command)
            until = time.monotonic() + LATER
            while shown is not None and not same(shown, found, VARIES.search(command)):
                if not only_reads or time.monotonic() > until:
                    lines = difflib.unified_diff(shown.split("\n"), found.split("\n"), "shown", "printed", lineterm="")
                    raise Wrong("\n".join(["it prints something else than is shown", *lines]))
                time.sleep(0.1)
                found = reader.run(command, strict=False)
        except Wrong as wrong:
            raise Wrong(f"{block}: {command}\n-- {wrong}") from None
    return count


def targets():
    """What cargo can be asked for: (flag, name)."""
    found = set()
    for manifest in ROOT.glob("**/Cargo.toml"):
        declared = tomllib.loads(manifest.read_text())
        found.add(("-p", declared.get("package", {}).get("name")))
        for kind in ("bin", "test", "bench", "example"):
            found |= {(f"--{kind}", target["name"]) for target in declared.get(kind, [])}
        for kind in ("test", "example"):
            files = manifest.parent.glob(f"{kind}s/*.rs")
            found |= {(f"--{kind}", file.stem) for file in files}
            found |= {(f"--{kind}", file.parent.name) for file in manifest.parent.glob(f"{kind}s/*/main.rs")}
        if (manifest.parent / "src/main.rs").is_file():
            found.add(("--bin", declared["package"]["name"]))
    return found


def look_at(block, binaries, helps):
    """What can be said of commands that are not run: bash understands them, and what they name exists."""
    for command, _ in steps(block):
        if "cargo" in command.split():
            for asked in re.findall(r"(-p|--bin|--test|--bench|--example) ([\w-]+)", command):
                if asked not in targets():
                    raise Wrong(f"{block}: there is no {' '.join(asked)}")
        line = re.sub(r"cargo run (?:--?\w+ )*--bin (\S+) --", r"\1", command.replace("\\\n", " "))
        for part in re.split(r"\n|[;|&]+", line):
            called = re.match(r"\s*(?:(?:time|do|then|\w+=\S+)\s+)*(engine-(?:server|sim))((?: [a-z]+\b(?![\w./]))*)(.*)", part)
            if not called:
                continue
            key = (called[1], *called[2].split())
            if key not in helps:
                asked = subprocess.run([binaries / key[0], *key[1:], "--help"], text=True, capture_output=True)
                if asked.returncode != 0:
                    raise Wrong(f"{block}: {' '.join(key)} --help: {asked.stderr}")
                helps[key] = set(re.findall(r"--[a-z][a-z-]*", asked.stdout))
            for flag in re.findall(r"(?<=\s)--[a-z][a-z-]*", called[3]):
                if flag not in helps[key]:
                    raise Wrong(f"{block}: {' '.join(key)} has no {flag}")


def looks_like_commands(block):
    for line in block.text.split("\n"):
        words = [word for word in line.split() if not re.match(r"[A-Z_]+=", word)]
        if line.startswith("$ ") or (words and (words[0] in COMMANDS or words[0].startswith(".ci/"))):
            return True
    return False


def check_rust(block, sources):
    whole = block.note("file")
    if whole is not None:
        if not (ROOT / whole).is_file() or (ROOT / whole).read_text() != block.text:
            raise Wrong(f"{block}: this is not {whole} to the byte")
    elif not any(block.text in source for source in sources):
        raise Wrong(f"{block}: expected a contiguous part of one of the project's .rs files, or <!-- file: PATH -->")


def check(document, binaries, helps, sources):
    """What was done with its blocks, by kind; what was wrong, if anything; and how long it took, in seconds."""
    tally, begun, wrong = collections.defaultdict(list), time.monotonic(), None
    try:
        walk(document, binaries, tally, helps, sources)
    except Wrong as found:
        wrong = str(found)
    return tally, wrong, time.monotonic() - begun


def walk(document, binaries, tally, helps, sources):
    with tempfile.TemporaryDirectory(prefix="snippets-") as folder, contextlib.ExitStack() as cleanup:
        reader = None
        for block in blocks(document):
            reason = block.note("not run")
            if reason == "":
                raise Wrong(f"{block}: <!-- not run: --> wants a reason")
            if block.tag in ("bash", "sh", "console"):
                if reason is not None:
                    look_at(block, binaries, helps)
                    tally["not run"].append(f"{block}: {reason}")
                    continue
                if reader is None:
                    reader = Reader(binaries, pathlib.Path(folder))
                    cleanup.callback(reader.end)
                tally["run"].append(run(block, reader))
            elif block.tag in ("json", "toml"):
                try:
                    (json if block.tag == "json" else tomllib).loads(block.text)
                except ValueError as wrong:
                    raise Wrong(f"{block}: {wrong}") from None
                tally[f"{block.tag}, parsed"].append(block)
            elif block.tag == "rust":
                check_rust(block, sources)
                tally["rust, as in the code"].append(block)
            elif block.tag == "":
                if looks_like_commands(block):
                    raise Wrong(f"{block}: tag it bash or console, with <!-- not run: WHY --> before it if it has to be; or text")
            elif block.tag != "text":
                tally[f"{block.tag}, not looked at"].append(block)


def main():
    options = argparse.ArgumentParser(description="Runs the commands in the documents.")
    options.add_argument("--bin-dir", type=pathlib.Path, required=True, help="where engine-server and engine-sim are")
    options.add_argument("documents", nargs="*", help="default: all")
    given = options.parse_args()
    missing = [tool for tool in ("bash", "curl", "jq", "openssl") if shutil.which(tool) is None]
    binaries = given.bin_dir.resolve()
    missing += [name for name in ("engine-server", "engine-sim") if not (binaries / name).is_file()]
    if missing:
        sys.exit(f"not found: {', '.join(missing)}")
    named = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
    documents = given.documents or named + sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))
    sources = [path.read_text() for part in ("crates", "bins", "benches") for path in ROOT.glob(f"{part}/**/*.rs")]
    # The examples of rustdoc, which are tests.
    sources += [re.sub(r"(?m)^ *//[/!] ?", "", source) for source in sources]
    total, helps, wrong = collections.defaultdict(list), {}, []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        checks = side_by_side.map(lambda document: check(document, binaries, helps, sources), documents)
        for document, (tally, found, seconds) in zip(documents, checks):
            for what, those in tally.items():
                total[what] += those
            if "run" in tally:
                print(f"{document}: {sum(tally['run'])} commands, {seconds:.1f} s", flush=True)
            if found:
                wrong.append(found)
    not_run = total.pop("not run", [])
    print(f"{sum(total.pop('run', []))} commands run, {len(not_run)} blocks not run:")
    print("".join(f"  {line}\n" for line in not_run), end="")
    print("; ".join(f"{len(found)} blocks of {what}" for what, found in sorted(total.items())))
    if wrong:
        sys.exit("\n\n".join(["", *wrong]))


main()
