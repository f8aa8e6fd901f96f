"""The word to stop: one line and exit code 1; in order where something is held, soon anyhow."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

HEAD = """
import signal, subprocess, sys, threading, time
sys.argv[1:] = ["run"]
from ghsl_beam.process import stopping
stopping.GRACE = 1.5
stopping.begin()
"""
LINE = "ghsl-beam: stopped by SIGTERM: the same command continues where it stopped\n"
READY = "print('ready', flush=True)\n"


def told_to_stop(body, *numbers, after=0.3, **options):
    """Run a program until it is ready, send it signals; code, stdout, stderr, seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)  # it goes on from there
    began = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(after)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_where_nothing_is_held_it_ends_at_once(number):
    """Even within an import: what is raised there may be swallowed."""
    swallowing = "try:\n    time.sleep(9)\nexcept BaseException:\n    print('raised')\n"
    code, out, err, seconds = told_to_stop(READY + swallowing, number)
    assert (code, out) == (1, "")
    assert err == LINE.replace("SIGTERM", number.name)
    assert seconds < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_word_before_it_is_listened_to_waits(number):
    """While the module that listens is loaded; Python itself would end with a traceback."""
    program = f"""
import builtins, os, sys
sys.argv[1:] = ["run"]
import ghsl_beam.__main__ as command
load = builtins.__import__
def told(name, *rest):
    if name == "ghsl_beam.process":
        os.kill(os.getpid(), {int(number)})
    return load(name, *rest)
builtins.__import__ = told
command.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == LINE.replace("SIGTERM", number.name)


IN_ORDER = """
try:
    with stopping.in_order():
        print("ready", flush=True)
        {body}
except KeyboardInterrupt as error:
    print(f"in order: {{error}}", flush=True)
"""


def test_where_something_is_held_it_is_raised():
    code, out, err, _ = told_to_stop(IN_ORDER.format(body="time.sleep(9)"), signal.SIGTERM)
    assert (code, out, err) == (0, "in order: SIGTERM\n", "")


def test_what_python_swallows_is_raised_again():
    body = """
        class Swallowing:
            def __del__(self):
                time.sleep(0.6)
        Swallowing()
        time.sleep(9)
"""
    code, out, err, _ = told_to_stop(IN_ORDER.format(body=body.strip()), signal.SIGTERM)
    assert (code, out, err) == (0, "in order: SIGTERM\n", "")


SWALLOWING = """
        for _ in range(90):
            try:
                time.sleep(0.1)
            except KeyboardInterrupt:
                print("swallowed", flush=True)
"""


def test_an_end_in_order_that_takes_too_long_is_cut_short():
    body = IN_ORDER.format(body=SWALLOWING.strip())
    code, out, err, seconds = told_to_stop(body, signal.SIGTERM)
    assert (code, out, err) == (1, "swallowed\n", LINE)
    assert 1.4 < seconds < 6


def test_a_second_word_ends_it_at_once():
    body = HEAD.replace("1.5", "60") + IN_ORDER.format(body=SWALLOWING.strip())
    code, out, err, seconds = told_to_stop(body, signal.SIGTERM, signal.SIGINT)
    assert (code, out, err) == (1, "swallowed\n", LINE)
    assert seconds < 6


def test_two_signals_together_are_one_word():
    body = "stopping._ONE_WORD = stopping.GRACE = 60\n"
    body += IN_ORDER.format(body="time.sleep(9)") + "time.sleep(1)"
    code, out, err, _ = told_to_stop(body, signal.SIGHUP, signal.SIGTERM, after=0)
    assert (code, out, err) == (0, "in order: SIGHUP\n", "")


def test_a_main_thread_that_never_notes_it_cannot_keep_it():
    """As in a library that does not return: the thread that listens has the word alone."""
    body = READY + "with stopping.in_order():\n" + "    while True: time.sleep(9)\n"
    body = "stopping._raise = lambda *_: None\nsignal.signal(15, stopping._raise)\n" + body
    code, out, err, _ = told_to_stop(body, signal.SIGTERM)
    assert (code, out, err) == (1, "", LINE)


def test_no_process_that_it_started_is_left():
    body = "child = subprocess.Popen(['sleep', '60'])\nprint('ready', flush=True)\ntime.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD + body], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    (child,) = psutil.Process(process.pid).children()
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 1
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_last_duties_are_done_and_cannot_keep_it():
    body = "stopping.speak_json()\n" + IN_ORDER.replace(
        "in_order()", "in_order(lambda: (print('released', flush=True), time.sleep(60)))"
    ).format(body=SWALLOWING.strip())
    code, out, err, seconds = told_to_stop(body, signal.SIGTERM)
    assert (code, out) == (1, "swallowed\nreleased\n")
    assert json.loads(err)["message"].startswith("stopped by SIGTERM")
    assert seconds < 9


def test_a_terminal_that_takes_nothing_cannot_keep_it():
    source, target = os.pipe()
    try:
        os.set_blocking(target, False)
        while True:
            try:
                os.write(target, bytes(4096))
            except BlockingIOError:
                break
        os.set_blocking(target, True)
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + READY + "time.sleep(60)"],
            stdout=subprocess.PIPE,
            stderr=target,
        )
        process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=20) == 1
    finally:
        os.close(source)
        os.close(target)
        process.communicate()


def test_a_child_that_was_forked_is_told_for_itself():
    body = """
import os
with stopping.in_order():
    child = os.fork()
    if child == 0:
        time.sleep(60)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    time.sleep(0.3)
    assert not stopping.requested()
print("ready", flush=True)
"""
    code, _, err, _ = told_to_stop(body)
    assert (code, err) == (0, "")
