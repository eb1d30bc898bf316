"""The program of a case over stdio, which plays the steps of the case.

    ["stderr", TEXT] ["stdout", TEXT] ["utf-16", TEXT: to stdout] ["sleep", S] ["exit", CODE] ["signal", NUMBER]
    ["close", DESCRIPTOR]   closes stdin (0) or stdout (1), and runs on
    ["read", METHOD]   reads until a request or notification with that method, and answers all others as a valid server
    ["answered"]       reads until the client answers a request of the server
    ["serve"]          answers as a valid server until stdin ends
    ["want", WHAT, REGEX, TEXT]   continues if REGEX matches "cwd", "arg N" or "env NAME"; otherwise writes TEXT to stderr and exits with 1

In a TEXT, @ANSWER@ is the valid response to the last message that was read, @PRETTY@ is that response on several lines, @LENGTH@ its
length in bytes, @ID@ its id, @VERSION@ the requested version of MCP, and @GOT@ the value that `want` compared.
"""
import json, os, re, sys, time

from good import fill, result_of


def play(steps, tools, work):
    def note(file, text):
        with open(os.path.join(work, file), "a") as notes:
            notes.write(text + "\n")

    note("pids", str(os.getpid()))
    places = {}

    def write(stream, text):
        stream.buffer.write(fill(text, places).encode())
        stream.buffer.flush()

    def read(method):
        for line in sys.stdin.buffer:
            message = json.loads(line)
            note("heard", message.get("method", "a response"))
            answer = result_of(message, tools)
            if message.get("method") == method:
                text = json.dumps(answer)
                places.update(ANSWER=text, PRETTY=json.dumps(answer, indent=2), LENGTH=len(text), ID=json.dumps(message.get("id")),
                              VERSION=(message.get("params") or {}).get("protocolVersion"))
                return
            if answer:
                write(sys.stdout, json.dumps(answer) + "\n")
        os._exit(0)

    def answered():
        for line in sys.stdin.buffer:
            if "method" not in json.loads(line):
                return note("heard", "a response")
        os._exit(0)

    def want(what, regex, text):
        kind, _, name = what.partition(" ")
        found = {"cwd": os.getcwd, "env": lambda: os.environ.get(name, ""), "arg": lambda: (sys.argv + [""] * 20)[int(name)]}[kind]()
        if not re.search(regex, found):
            places["GOT"] = found
            write(sys.stderr, text + "\n")
            os._exit(1)

    def write_utf_16(text):
        sys.stdout.buffer.write(fill(text, places).encode("utf-16"))
        sys.stdout.buffer.flush()

    verbs = {"utf-16": write_utf_16, "stderr": lambda text: write(sys.stderr, text), "stdout": lambda text: write(sys.stdout, text), "sleep": time.sleep,
             "read": read, "answered": answered, "serve": lambda: read("\0"), "want": want, "exit": os._exit, "close": os.close, "signal": lambda number: os.kill(os.getpid(), number)}
    for verb, *arguments in steps:
        verbs[verb](*arguments)
