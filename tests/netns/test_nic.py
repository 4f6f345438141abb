# SPDX-License-Identifier: Apache-2.0
"""Loading, reloading and unloading: what is refused, what survives, what is left."""
import errno
import json
import subprocess
import time
import unittest

from harness import *


def snapshot(*namespaces):
    """Everything that Sluice could leave behind: programs, links and maps by id, pins, and each namespace's devices,
    qdiscs, routes, rules and sysctls."""
    def words(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout

    found = {}
    for kind in ("prog", "link", "map"):
        listed = json.loads(words("bpftool", "-j", kind, "list") or "[]")
        found[kind] = sorted(str(o["id"]) + " " + str(o.get("name", "")) for o in listed)
    found["pins"] = words("find", "/sys/fs/bpf", "-mindepth", "1").splitlines()
    found["namespaces"] = sorted(words("ip", "netns", "list").split())
    for namespace in namespaces:
        for what in ("link", "addr", "route", "-6 route", "rule", "-6 rule"):
            found[f"{namespace.name} {what}"] = [" ".join(l.split()) for l in namespace.run(
                "ip", *what.split()).stdout.splitlines()]
        found[f"{namespace.name} qdisc"] = namespace.run("tc", "qdisc").stdout.splitlines()
        found[f"{namespace.name} sysctl"] = namespace.run(
            "sh", "-c", "cat /proc/sys/net/ipv4/conf/lo/accept_local /proc/sys/net/ipv4/conf/lo/route_localnet").stdout
    return found


class Loading(SluiceTest):
    load = False
    nics = 2

    def nic(self, name="nic0"):
        return next((n for n in self.daemon.list("nic") if n["name"] == name), None)

    def lo_sysctls(self):
        lo = "/proc/sys/net/ipv4/conf/lo/"
        return " ".join(self.client.run("cat", lo + "accept_local", lo + "route_localnet").stdout.split())

    def test_load_lists_and_unloads(self):
        self.nic_load()
        self.assertEqual(self.nic()["mode"], "native")
        self.assertEqual(self.lo_sysctls(), "1 1", "lo comes with the first NIC")
        for key in ("name", "index", "mode", "attach", "programs"):
            self.assertIn(key, self.nic())
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.assertEqual(self.daemon.list("nic"), [])
        self.assertEqual(self.lo_sysctls(), "0 0", "lo goes with the last NIC")

    def test_a_nic_that_does_not_exist_is_one_clear_line(self):
        result = self.daemon.run("nic", "load", "nosuch0", namespace=self.client)
        self.assertEqual(result.status, 1)
        self.assertEqual(result.err.count("\n"), 1, result.err)
        self.assertIn("nosuch0", result.err)
        self.assertEqual(self.daemon.list("nic"), [])
        self.assertEqual(self.daemon.leftovers(), [] if not self.daemon.pins.exists() else self.daemon.leftovers())

    def test_a_second_load_is_one_clear_line(self):
        self.nic_load()
        before = self.daemon.list("nic")
        result = self.daemon.run("nic", "load", "nic0", namespace=self.client)
        self.assertEqual(result.status, 1)
        self.assertEqual(result.err.count("\n"), 1, result.err)
        self.assertIn("nic0", result.err)
        self.assertEqual(self.daemon.list("nic"), before)

    def test_unload_of_what_is_not_loaded_is_one_clear_line(self):
        result = self.daemon.run("nic", "unload", "nic0", namespace=self.client)
        self.assertEqual((result.status, result.err.count("\n")), (1, 1), result)

    def test_no_privilege_is_one_clear_line(self):
        result = self.daemon.run("nic", "load", "nic0", namespace=self.client, user=65534)
        self.assertEqual((result.status, result.err.count("\n")), (4, 1), result)
        self.assertEqual(self.daemon.run("hold", "list", user=65534).status, 4)
        self.assertEqual(self.daemon.list("nic"), [])

    def test_no_daemon_is_exit_3(self):
        self.daemon.stop()
        result = self.daemon.run("status")
        self.assertEqual((result.status, result.err.count("\n")), (3, 1), result)

    def test_wrong_usage_is_exit_2(self):
        for arguments in (("filter", "add"), ("nonsense",), ("nic", "load")):
            self.assertEqual(self.daemon.run(*arguments).status, 2, arguments)

    def test_a_second_sluiced_is_refused(self):
        second = subprocess.run(self.daemon.command(), capture_output=True, text=True, timeout=20 * SLACK)
        self.assertNotEqual(second.returncode, 0)
        self.daemon.do("status")

    def test_sluiced_without_privilege_says_so(self):
        mine = self.directory / "nobody"
        mine.mkdir(mode=0o777)
        mine.chmod(0o777)
        mine_too = Daemon(mine)
        with open(mine_too.log, "wb") as log:
            process = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *mine_too.command()],
                                       stdout=log, stderr=log)
        self.addCleanup(end_process, process)
        wait_for(lambda: process.poll() is not None or mine_too.run("status").status == 0, "it answers or ends")
        if process.poll() is None:
            result = mine_too.run("nic", "load", "nic0", namespace=self.client)
            self.assertIn(result.status, (1, 4), result)
            self.assertEqual(result.err.count("\n"), 1, result)
            self.assertRegex(result.err.lower(), "permi|privilege|capab")
        else:
            self.assertNotEqual(process.returncode, 0)
            self.assertTrue(mine_too.log.read_text().strip())
        self.assertEqual(mine_too.leftovers(), [])

    def test_an_older_layout_pinned_is_refused(self):
        self.nic_load()
        layout = next(self.daemon.pins.rglob("layout"))
        entry = json.loads(subprocess.run(["bpftool", "-j", "map", "dump", "pinned", layout], check=True,
                                          capture_output=True).stdout)[0]

        def write(*value):
            subprocess.run(["bpftool", "map", "update", "pinned", layout, "key", "0", "0", "0", "0", "value", *value],
                           check=True)

        def restore():
            self.daemon.stop()
            write(*entry["value"])
            self.daemon.start()  # so that the NIC is unloaded in the end
        self.addCleanup(restore)
        write("250", "0", "0", "0")
        self.daemon.stop()
        pins = self.daemon.leftovers()
        with open(self.daemon.log, "ab") as log:
            self.daemon.process = subprocess.Popen(self.daemon.command(), stdout=log, stderr=log)
        # either sluiced refuses to start, or it starts and refuses the NIC: one line that says layout, nothing changed
        time.sleep(2 * SLACK)
        if self.daemon.process.poll() is None:
            result = self.daemon.run("nic", "load", "nic1", namespace=self.client)
            self.assertEqual(result.status, 1)
            self.assertIn("layout", result.err)
        else:
            self.assertNotEqual(self.daemon.process.returncode, 0)
            self.assertIn("layout", self.daemon.log.read_text())
        self.assertEqual([p for p in pins if p not in self.daemon.leftovers()], [])

    # ctest: vm
    def test_generic_mode(self):
        self.serve()
        self.nic_load("nic0", "--mode", "generic")
        self.assertEqual(self.nic()["mode"], "generic")
        self.daemon.filter("inbound_ippacket_v4", remote=SERVER4, protocol="icmp")
        self.assertNotEqual(self.client.run("ping", "-c1", "-W1", SERVER4, check=False).returncode, 0)
        self.host()
        self.daemon.ask(4, port=80)
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)

    def test_several_nics_at_once(self):
        self.serve()
        self.host()
        self.daemon.ask(4, port=80)
        self.nic_load("nic0")
        self.nic_load("nic1")
        attempts = [self.attempt("10.91.0.2"), self.attempt("10.92.0.2")]
        holds = wait_for(lambda: len(h := self.daemon.holds()) == 2 and h, "held on both")
        self.daemon.do("nic", "unload", "nic1", namespace=self.client)
        self.permit(next(h for h in holds if "10.91" in h["remote"]))
        self.assertEqual(attempts[0].wait(), 0)
        again = self.attempt("10.91.0.2")
        self.permit(self.daemon.wait_hold(remote=next(h for h in holds if "10.91" in h["remote"])["remote"]))
        self.assertEqual(again.wait(), 0)

    def test_two_namespaces_at_once(self):
        """Loaded on both sides: each has its own data plane, and the policy holds in both."""
        self.serve()
        self.serve(namespace=self.client)
        self.host()
        self.daemon.ask(4, port=80)
        self.nic_load("nic0")
        self.daemon.do("nic", "load", "peer0", namespace=self.far)
        ours = self.attempt(SERVER4)
        hold = self.daemon.wait_hold()
        theirs = self.attempt(CLIENT4, namespace=self.far)
        holds = wait_for(lambda: len(h := self.daemon.holds()) == 2 and h, "both are held")
        self.assertEqual(len({h["compartment"] for h in holds}), 2)
        self.permit(hold)
        self.assertEqual(ours.wait(), 0)
        self.assertIsNone(theirs.ended)
        self.daemon.do("nic", "unload", "peer0", namespace=self.far)
        self.daemon.do("status")

    def test_a_namespace_without_sluice_is_not_classified(self):
        self.nic_load()
        self.serve(namespace=self.client)
        self.daemon.filter("ale_auth_connect_v4")
        self.assertEqual(self.attempt(CLIENT4, namespace=self.far).wait(), 0)

    # ctest: serial
    def test_unload_leaves_nothing(self):
        self.daemon.stop()
        self.serve()
        before = snapshot(self.client, self.far)
        self.daemon.start()
        self.nic_load("nic0")
        self.nic_load("nic1")
        host = self.host()
        self.daemon.ask(4, port=80)
        attempt = self.attempt()
        self.permit(self.daemon.wait_hold())
        self.assertEqual(attempt.wait(), 0)
        host.stop()
        for nic in ("nic0", "nic1"):
            self.daemon.do("nic", "unload", nic, namespace=self.client)
        self.daemon.stop()

        def difference():
            after = snapshot(self.client, self.far)
            return {k: (sorted(set(after[k]) - set(v)), sorted(set(v) - set(after[k]))) for k, v in before.items()
                    if after[k] != v}
        # the kernel frees programs a moment after their last user
        try:
            wait_for(lambda: not difference(), "nothing is left", 5)
        except AssertionError:
            self.fail(f"left behind (new, gone): {difference()}")

    def test_unload_with_a_hold_open_ends_it(self):
        self.serve()
        self.host()
        self.nic_load()
        self.daemon.ask(4, port=80)
        attempt = self.attempt()
        self.daemon.wait_hold()
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.assertEqual(self.daemon.holds(), [])
        # what the application sees: refused, or its next retransmission goes out unjudged
        self.assertIn(attempt.wait(10), (0, errno.ECONNREFUSED))

    def transfer_over(self, *steps):
        iperf = Iperf(self, 3 + 2 * len(steps))
        iperf.wait_running(self)
        for step in steps:
            time.sleep(1)
            step()
        rates = iperf.report()
        print("Mbit/s each 200 ms:", *(round(r / 1e6) for r in rates))
        self.assertGreater(sum(rates) / len(rates), 100e6)

    # ctest: vm
    def test_established_transfer_survives_load_reload_unload(self):
        self.transfer_over(lambda: self.nic_load(),
                           lambda: self.daemon.do("nic", "unload", "nic0", namespace=self.client),
                           lambda: self.nic_load(),
                           lambda: self.daemon.do("nic", "unload", "nic0", namespace=self.client))

    def test_established_transfer_survives_restart_and_new_filters(self):
        def add():
            self.host()
            self.daemon.ask(4, port=80)
            self.daemon.filter("ale_auth_connect_v4", port=443)
            self.daemon.filter("inbound_ippacket_v4", remote="192.0.2.0/24")
        self.nic_load()
        self.transfer_over(add, lambda: (self.daemon.stop(), self.daemon.start()),
                           lambda: (self.daemon.kill(), self.daemon.start()))


class Inbound(SluiceTest):
    def test_a_filter_drops_in_xdp_while_the_counters_rise(self):
        for family in (4, 6):
            address = server(family)
            self.assertEqual(self.client.run("ping", "-c1", "-W2", address, check=False).returncode, 0)
            counted = self.daemon.reason("FILTER_BLOCK")
            filter_id = self.daemon.filter(f"inbound_ippacket_v{family}", remote=address)
            self.assertNotEqual(self.client.run("ping", "-c2", "-i0.2", "-W1", address, check=False).returncode, 0)
            self.assertGreaterEqual(self.daemon.reason("FILTER_BLOCK"), counted + 2)
            hits = {f["id"]: f["hits"] for f in self.daemon.list("filter")}
            self.assertGreaterEqual(hits[filter_id], 2)
            self.daemon.do("filter", "delete", filter_id)
            self.assertEqual(self.client.run("ping", "-c1", "-W2", address, check=False).returncode, 0)

    # ctest: vm
    def test_a_callout_judges_each_packet(self):
        """inspect_packets.so lets everything pass but echo requests of an odd length."""
        self.host("inspect_packets.so", callouts=("inspect_packets_v4", "inspect_packets_v6"))
        for family, client, address in ((4, CLIENT4, SERVER4), (6, CLIENT6, SERVER6)):
            self.daemon.filter(f"inbound_ippacket_v{family}", "callout", f"inspect_packets_v{family}", remote=address)
            before = self.daemon.reason("UPCALL")
            even = self.far.run("ping", "-c5", "-i0.2", "-W2", "-s56", client, check=False)
            self.assertEqual(even.returncode, 0, even.stdout)
            self.assertGreaterEqual(self.daemon.reason("UPCALL"), before + 5)
            odd = self.far.run("ping", "-c3", "-i0.2", "-W1", "-s57", client, check=False)
            self.assertNotEqual(odd.returncode, 0, odd.stdout)

    def test_tcp_through_a_packet_callout(self):
        # the veth peer leaves checksums to a device that never was: the host completes them
        self.serve()
        self.host("inspect_packets.so", callouts=("inspect_packets_v4",))
        self.daemon.filter("inbound_ippacket_v4", "callout", "inspect_packets_v4", remote=SERVER4)
        attempt = self.attempt()
        self.assertEqual(attempt.wait(), 0)
        for _ in range(20):
            attempt.socket.sendall(b"x" * 3000)
            left = 3000
            while left:
                left -= len(attempt.socket.recv(left))

    def test_a_callout_filter_without_its_host_blocks_packets(self):
        host = self.host("inspect_packets.so", callouts=("inspect_packets_v4",))
        self.daemon.filter("inbound_ippacket_v4", "callout", "inspect_packets_v4", remote=SERVER4)
        self.assertEqual(self.client.run("ping", "-c1", "-W2", SERVER4, check=False).returncode, 0)
        host.kill()
        wait_for(lambda: not [c for c in self.daemon.list("callout") if c["registered"]], "callouts are unregistered")
        self.assertNotEqual(self.client.run("ping", "-c1", "-W1", SERVER4, check=False).returncode, 0)
        self.assertGreaterEqual(self.daemon.reason("CALLOUT_UNREGISTERED") + self.daemon.reason("FILTER_BLOCK"), 1)


class Port(SluiceTest):
    def test_silence_for_ten_seconds(self):
        """A port carries nothing but our frames."""
        self.host()
        port = wait_for(lambda: [w.rstrip(":").split("@")[0] for w in self.client.run("ip", "-o", "link").stdout.split()
                                 if w.startswith("slc")], "the port's device")[0]
        capture = self.capture(self.client, port)
        before = self.client.run("ip", "-s", "-j", "link", "show", port).stdout
        time.sleep(10)
        self.assertEqual(capture.frames, [])
        after = self.client.run("ip", "-s", "-j", "link", "show", port).stdout
        counters = [json.loads(text)[0]["stats64"] for text in (before, after)]
        self.assertEqual(counters[0], counters[1])
        self.assertEqual(self.daemon.reason("PORT_FOREIGN_FRAME"), 0)

    def test_what_others_send_to_it_is_dropped_and_counted(self):
        """Frames that an administrator sends out of the port's device reach no host."""
        self.host()
        port = wait_for(lambda: [w.rstrip(":").split("@")[0] for w in self.client.run("ip", "-o", "link").stdout.split()
                                 if w.startswith("slc")], "the port's device")[0]
        s = self.client.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.addCleanup(s.close)
        s.bind((port, 0))
        for n in range(10):
            with contextlib.suppress(OSError):  # ENOBUFS: what the traffic control layer dropped
                s.send(bytes(12) + b"\x08\x00" + bytes(60))
        wait_for(lambda: self.daemon.reason("PORT_FOREIGN_FRAME") >= 10, "counted")
        self.daemon.do("status")


if __name__ == "__main__":
    unittest.main(verbosity=2)
