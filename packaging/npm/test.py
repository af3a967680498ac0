#!/usr/bin/env python3
"""Tests the npm launcher as a client or a shell sees it: test.py LAUNCHER. Uses the environment unchanged."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time

# Time limit of each step, in seconds.
WITHIN = 60
LAUNCHER = sys.argv[1]
ENVIRONMENT = {**os.environ, "AIRLOCK_SERVER_LISTEN": "127.0.0.1:0"}


def check(holds, what):
    if not holds:
        sys.exit(f"error: {what}")
    print(f"    {what}")


def wait_for(condition, what):
    end = time.monotonic() + WITHIN
    while not (found := condition()):
        if time.monotonic() > end:
            sys.exit(f"error: {what} did not happen within {WITHIN} s")
        time.sleep(0.05)
    return found


def children(pid):
    """Returns the processes that a process started; none if it has ended."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="latin1") as file:
            return file.read().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def speaks_mcp():
    process = subprocess.Popen([LAUNCHER, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)

    def send(**message):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.flush()

    def answer(number):
        for line in process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message["result"]
        sys.exit("error: `airlock mcp` closed its output")

    client = {"name": "package-test", "version": "1"}
    send(id=1, method="initialize", params={"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
    check(answer(1)["serverInfo"]["name"] == "airlock", "mcp over stdio: initialize")
    send(method="notifications/initialized")
    send(id=2, method="tools/list", params={})
    check("execute" in [tool["name"] for tool in answer(2)["tools"]], "mcp over stdio: tools/list has `execute`")
    process.stdin.close()
    check(process.wait(WITHIN) == 0, "mcp over stdio: ends with its input")


def serve(**more):
    process = subprocess.Popen([LAUNCHER, "serve"], stderr=subprocess.PIPE, env=ENVIRONMENT, **more)
    for line in process.stderr:
        if b"ready" in line:
            break
    return process, wait_for(lambda: children(process.pid), "the start of the program")[0]


def passes_signals_on():
    for name in ("SIGTERM", "SIGINT"):
        # In a session of its own there is no terminal that would send the signal to the program as well.
        process, program = serve(start_new_session=True)
        process.send_signal(getattr(signal, name))
        check(process.wait(WITHIN) == 0 and not lives(program), f"{name} ends the program in order, and the launcher with it")
    process, program = serve(start_new_session=True)
    # Silence would block the reading.
    silence = threading.Timer(WITHIN, os.kill, (program, signal.SIGKILL))
    silence.start()
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: b"the configuration is read again" in process.stderr.readline(), "the program's word about SIGHUP")
    silence.cancel()
    check(lives(program), "SIGHUP reaches the program, and both go on")
    process.send_signal(signal.SIGTERM)
    check(process.wait(WITHIN) == 0 and not lives(program), "SIGTERM after it ends both")
    process, program = serve(start_new_session=True)
    os.kill(program, signal.SIGKILL)
    check(process.wait(WITHIN) == -signal.SIGKILL, "a program that was killed looks killed")


def interrupts_once_in_a_terminal():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(LAUNCHER, [LAUNCHER, "serve"], ENVIRONMENT)
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        pass  # the terminal's other end is closed
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    # Airlock that is interrupted twice does not end in order: 130.
    check(status == 0, f"Ctrl-C in a terminal interrupts the program once (it ended with {status})")


speaks_mcp()
passes_signals_on()
interrupts_once_in_a_terminal()
