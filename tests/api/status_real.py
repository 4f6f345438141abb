#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of the statuses, and the driver that manages, against a real sluiced of their own.

status_real.py SLUICED STATUS_TESTS DRIVER_TESTS"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

if os.geteuid() != 0:
    print("needs root, as sluiced does")
    sys.exit(77)
folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-status-"))
pins = pathlib.Path("/sys/fs/bpf") / folder.name
socket = folder / "control.sock"
try:
    daemon = subprocess.Popen([sys.argv[1], "--socket", socket, "--pin-root", pins])
    try:
        for _ in range(300):
            if socket.exists() or daemon.poll() is not None:
                break
            time.sleep(0.1)
        environment = dict(os.environ, SLUICE_STATUS_REAL="1", SLUICE_SOCKET=str(socket))
        code = 0
        for tests, chosen in ((sys.argv[2], "*"), (sys.argv[3], "ManagingDriver.*")):
            command = [tests, "--gtest_brief=1", f"--gtest_filter={chosen}"]
            code = subprocess.run(command, env=environment, timeout=240, check=False).returncode or code
    finally:
        daemon.terminate()
        ended = daemon.wait(30)
    print(f"tests: {code}, sluiced: {ended}")
    sys.exit(code or ended)
finally:
    shutil.rmtree(folder, ignore_errors=True)
    if pins.is_dir():
        pins.rmdir()
