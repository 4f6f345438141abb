# SPDX-License-Identifier: Apache-2.0
"""`cmake --install` gives a package with which a plugin is built outside the tree, and programs that load it."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "netns"))
import harness
from harness import SluiceTest


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed(SluiceTest):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="slt-package-", dir="/run"))
        cls.top.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.top, ignore_errors=True)
        cls.prefix = cls.top / "usr"
        run("cmake", "--install", harness.BUILD, "--prefix", cls.prefix)
        shutil.copytree(HERE / "outside", cls.top / "outside")
        find = lambda name: next(p for p in cls.prefix.rglob(name) if p.is_file())
        # from here on the tests' programs are the installed ones
        harness.SLUICED, harness.SLUICE, harness.SLUICE_HOST = find("sluiced"), find("sluice"), find("sluice-host")
        cls.pkgconfig = find("sluice.pc").parent
        cls.config = find("sluiceConfig.cmake")

    def flags(self, package, what):
        return run("pkg-config", what, package, env=dict(os.environ, PKG_CONFIG_PATH=str(self.pkgconfig))).split()

    def loaded(self, plugin):
        self.host(plugin, callouts=())
        harness.wait_for(lambda: [c for c in self.daemon.list("callout") if c["registered"]], f"{plugin} registers a callout")

    def test_with_cmake(self):
        build = self.top / "build"
        run("cmake", "-S", self.top / "outside", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", build)
        for name in ("native.so", "windows.so"):
            with self.subTest(name):
                self.loaded(build / name)

    def test_with_pkg_config(self):
        native, windows = self.top / "native.so", self.top / "windows.so"
        run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", native,
            self.top / "outside/native.cpp", *self.flags("sluice", "--cflags"), *self.flags("sluice", "--libs"))
        run("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", windows,
            self.top / "outside/windows.c", *self.flags("sluice-wdk", "--cflags"), *self.flags("sluice-wdk", "--libs"))
        self.loaded(native)

    def test_the_installed_command_says_what_it_is(self):
        self.assertIn("sluice", run(harness.SLUICE, "--help").lower())
        self.assertEqual([p for p in self.prefix.rglob("*.bpf.o")], [], "objects are embedded")


if __name__ == "__main__":
    unittest.main(verbosity=2)
