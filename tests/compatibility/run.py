"""Runs the combinations: starts a server of each, checks it with the program, and compares what happened with the expected values."""
import csv
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import zip_longest
from pathlib import Path

import install
from proxy import Proxy

HERE = Path(__file__).resolve().parent
MODERN = "2026-07-28"
START_LIMIT = 90  # until a server over HTTP accepts connections, in seconds
CHECK_LIMIT = 60  # of one run of the program, in seconds
END_LIMIT = 1.0   # until the processes of a finished run are gone, in seconds
ORDER = ["go", "java", "python", "npm", "strict"]  # of the installations: the slowest first
MARK = "MCP_STARTUP_COMPATIBILITY"  # an environment variable that every process of a run has


def combinations():
    with (HERE / "combinations.tsv").open(newline="") as file:
        rows = csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t")
        return [{**row, "id": " ".join(row[key] for key in ("sdk", "version", "transport", "variant"))} for row in rows]


class Stop:
    """The process groups that this program has started. They end with it."""

    def __init__(self):
        self.groups, self.lock, self.stopped = set(), threading.Lock(), False

    def add(self, group):
        with self.lock:
            self.groups.add(group)
        if self.stopped:
            self.end(group)

    def remove(self, group):
        with self.lock:
            self.groups.discard(group)

    @staticmethod
    def end(group):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def all(self):
        self.stopped = True
        with self.lock:
            for group in self.groups:
                self.end(group)


class Server:
    """A server over HTTP, behind the proxy."""

    def __init__(self, row, command, work, stop):
        self.stop = stop
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.proxy = Proxy(self.port)
        origin = "http://127.0.0.1:%d" % self.proxy.port
        self.url = origin + ("/sse" if row["transport"] == "sse" else "/mcp")
        self.log = work / "server.log"
        with self.log.open("wb") as log:
            arguments = [*command, row["transport"], row["variant"], self.port, origin]
            self.process = subprocess.Popen(list(map(str, arguments)), cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        stop.add(self.process.pid)

    def wait(self):
        """Waits until the server accepts connections. Returns the reason if it does not."""
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return "the server exited with %d: %s" % (self.process.returncode, last_line(self.log))
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return None
            except OSError:
                time.sleep(0.05)
        return "the server did not accept connections within %d s" % START_LIMIT

    def live_sessions(self):
        """The server's own count, if it has one."""
        browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with browser.open("http://127.0.0.1:%d/sessions" % self.port, timeout=5) as answer:
                text = answer.read(100).decode(errors="replace").strip()
        except (OSError, ValueError):
            return None
        return int(text) if text.isdigit() else None

    def knows(self, session):
        """Whether the server still accepts requests of a session."""
        headers = {"Mcp-Session-Id": session, "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        body = json.dumps({"jsonrpc": "2.0", "id": "probe", "method": "ping"}).encode()
        request = urllib.request.Request("http://127.0.0.1:%d/mcp" % self.port, body, headers)
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()
        except urllib.error.HTTPError as refusal:
            return refusal.code != 404
        except OSError:
            pass
        return True

    def close(self):
        self.proxy.close()
        self.stop.end(self.process.pid)
        self.process.wait()
        self.stop.remove(self.process.pid)


def last_line(log):
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def processes_with(mark):
    """The processes of a run that still exist. Only Linux shows the environment of a process."""
    wanted, found = ("%s=%s" % (MARK, mark)).encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except OSError:
            pass
    return found


class Run:
    """One combination."""

    def __init__(self, program, row, command, logs, stop):
        self.program, self.row, self.command, self.stop = program, row, command, stop
        self.kept = logs / row["id"].replace(" ", "_").replace("/", "_")
        self.mark = "%d-%s" % (os.getpid(), hashlib.sha256(row["id"].encode()).hexdigest()[:12])
        self.report, self.requests, self.faults = {}, [], []

    def result(self):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="compatibility-") as folder:
            work = Path(folder)
            shutil.rmtree(self.kept, ignore_errors=True)
            if self.row["transport"] == "stdio":
                self.over_stdio(work)
            else:
                self.over_http(work)
            state = self.state()
            if state != "ready":
                self.keep(work)
        return {"state": state, "faults": self.faults, "requests": self.requests, "seconds": round(time.monotonic() - began, 1),
                "day": datetime.now(timezone.utc).date().isoformat()}

    def state(self):
        failure = self.report.get("failure") or {}
        is_ready = self.report.get("status") == "ready" and self.report.get("tools") == 1
        if self.row["reason"] and self.report:
            if not is_ready:
                return "unstartable"
            self.faults.append("ready, although combinations.tsv has a reason why it can't be")
        elif self.report and not is_ready:
            message = failure.get("message") or "%s with %s tools" % (self.report.get("status"), self.report.get("tools"))
            self.faults.insert(0, message)
        return "failed" if self.faults else "ready"

    def keep(self, work):
        """Keeps the files of a run that failed."""
        self.kept.mkdir(parents=True)
        for path in work.iterdir():
            if path.is_file():
                shutil.copy(path, self.kept)
        (self.kept / "requests.txt").write_text("".join(line + "\n" for line in self.requests))

    def check(self, work, entry):
        """Runs the program with one server."""
        (work / ".codex").mkdir()
        config = work / "mcp.json"
        config.write_text(json.dumps({"mcpServers": {"server": entry}}))
        env = {"PATH": os.environ["PATH"], "HOME": str(work), "CODEX_HOME": str(work / ".codex"), "LANG": "C.UTF-8", "NO_COLOR": "1", MARK: self.mark}
        process = subprocess.Popen([self.program, "check", "--config", str(config), "--format", "json"], cwd=work, env=env, text=True, errors="replace",
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.stop.add(process.pid)
        try:
            out, err = process.communicate(timeout=CHECK_LIMIT)
        except subprocess.TimeoutExpired:
            self.stop.end(process.pid)
            process.communicate()
            self.faults.append("the program did not end within %d s" % CHECK_LIMIT)
            return
        finally:
            self.stop.remove(process.pid)
        (work / "report.json").write_text(out)
        (work / "program.log").write_text(err)
        try:
            self.report = json.loads(out)["servers"][0]
        except (ValueError, KeyError, IndexError):
            self.faults.append("no report (exit status %d): %s" % (process.returncode, err.strip()[-200:]))
        until = time.monotonic() + END_LIMIT
        while (left := processes_with(self.mark)) and time.monotonic() < until:
            time.sleep(0.05)
        self.faults += ["left the process %s" % process for process in left]

    def expect(self, key, found):
        if str(found) != self.row[key]:
            self.faults.append("%s: %s, not %s" % (key, found, self.row[key]))

    def expect_requests(self, found):
        fewest, _, most = self.row["requests"].partition("-")
        if not int(fewest) <= found <= int(most or fewest):
            self.faults.append("requests: %d, not %s" % (found, self.row["requests"]))

    def over_stdio(self, work):
        record = work / "messages.jsonl"
        relay = [sys.executable, "-IS", HERE / "relay.py", record, *self.command, "stdio", self.row["variant"]]
        command, *arguments = map(str, relay)
        self.check(work, {"command": command, "args": arguments, "env": {MARK: self.mark}})
        entries = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        messages = [entry for entry in entries if "method" in entry]
        self.requests = [entry.get("method") or ("launch" if "launch" in entry else "") for entry in entries if "method" in entry or "launch" in entry]
        if self.row["reason"]:
            return
        launches = self.requests.count("launch")
        if launches != (2 if self.row["also"] == "relaunch" else 1):
            self.faults.append("%d launches" % launches)
        answer = next((entry["answer"] for entry in entries if "answer" in entry), "")
        try:
            answer = json.loads(answer.splitlines()[0])
            self.expect("initialize", "result" if "result" in answer else answer["error"]["code"])
        except (ValueError, KeyError, IndexError):
            self.expect("initialize", "no JSON-RPC: %s" % answer[:100])
        self.expect_requests(len(messages))
        self.expect("era", "modern" if messages and messages[-1]["version"] == MODERN else "legacy")

    def over_http(self, work):
        server = Server(self.row, self.command, work, self.stop)
        try:
            fault = server.wait()
            if fault:
                self.faults.append(fault)
                return
            self.check(work, {"url": server.url})
            exchanges = server.proxy.exchanges
            self.sessions(server, exchanges)
        finally:
            server.close()
        self.requests = [str(exchange) for exchange in exchanges]
        if self.row["reason"]:
            return
        counted = [exchange for exchange in exchanges if exchange.verb != "DELETE"]
        first = counted[0] if counted else None
        self.expect("initialize", first and ("%s %s" % (first.status, first.code) if first.code else first.status))
        self.expect_requests(len(counted))
        self.expect("era", "modern" if counted and counted[-1].headers.get("mcp-protocol-version") == MODERN else "legacy")

    def sessions(self, server, exchanges):
        """Checks that the program has ended the sessions that the server opened."""
        ended = {exchange.headers.get("mcp-session-id"): exchange.status for exchange in exchanges if exchange.verb == "DELETE"}
        # A server may open a session with an error, and end it by itself.
        opened = {exchange.session for exchange in exchanges if exchange.session and (exchange.code is None or server.knows(exchange.session))}
        if bool(opened) != (self.row["also"] == "session") and not self.row["reason"]:
            self.faults.append("%d sessions opened" % len(opened))
        for session in opened:
            status = ended.get(session, "not sent")
            if status not in (200, 202, 204):
                self.faults.append("left a session open (DELETE: %s)" % status)
        live = server.live_sessions()
        if live:
            self.faults.append("the server counts %d live sessions" % live)


class Runner:
    """Runs combinations, several versions at a time."""

    def __init__(self, program, target, jobs, say):
        self.program, self.target, self.jobs, self.say = program, target, jobs, say
        self.stop = Stop()
        self.installer = install.Installer(target, self.stop)
        self.results, self.lock = {}, threading.Lock()

    def run(self, rows, finished, keep_installed):
        """Runs the rows. `finished` is called with each row and its result. Installations for which `keep_installed` is false are removed."""
        by_version = {}
        for row in rows:
            by_version.setdefault((row["sdk"], row["version"]), []).append(row)
        units = list(by_version.values())
        language = lambda unit: install.language(unit[0]["sdk"])
        # cargo builds one version at a time, so something else is installed meanwhile.
        rust = [unit for unit in units if language(unit) == "rust"]
        others = sorted((unit for unit in units if language(unit) != "rust"), key=lambda unit: ORDER.index(language(unit)))
        units = [unit for pair in zip_longest(rust, others) for unit in pair if unit]
        pool = ThreadPoolExecutor(self.jobs)
        try:
            done = [pool.submit(self.unit, unit, finished, keep_installed) for unit in units]
            for unit in done:
                unit.result()
        finally:
            self.stop.all()
            pool.shutdown(cancel_futures=True)

    def unit(self, rows, finished, keep_installed):
        """The combinations of one version of an SDK."""
        sdk, version = rows[0]["sdk"], rows[0]["version"]
        tool = install.missing_tool(sdk)
        reason, folder = tool and "%s is not on the PATH" % tool, None
        if not reason:
            try:
                transports = {row["transport"] for row in rows}
                if not self.installer.is_current(sdk, version, transports):
                    self.say("installing %s %s" % (sdk, version))
                folder = self.installer.install(sdk, version, transports)
            except install.NotInstalled as error:
                reason = "it can't be installed: %s" % error
        for row in rows:
            if self.stop.stopped:
                return
            if reason:
                finished(row, {"state": "not run", "faults": [reason], "requests": [], "seconds": 0.0})
                continue
            command = install.command(folder, sdk)
            finished(row, Run(self.program, row, command, self.target / "logs", self.stop).result())
        if not keep_installed(sdk, version) and not reason:
            self.installer.remove(sdk, version)
