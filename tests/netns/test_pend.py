# SPDX-License-Identifier: Apache-2.0
"""FwpsPendOperation0 and FwpsCompleteOperation0: what they say, and what they do when they come early, late or twice."""
import errno
import signal
import socket
import subprocess
import time
import unittest

from harness import *
from pender import *

CONNECT = "import socket; socket.create_connection(('10.91.0.2', 80))"


class Statuses(PendTest):
    def setUp(self):
        super().setUp()
        self.serve()

    def everything(self):
        """An occasion for each layer."""
        s = self.client.socket(socket.AF_INET)
        s.bind((CLIENT4, 81))
        s.listen(4)
        for family in (4, 6):
            self.assertEqual(self.attempt(server(family)).wait(), 0)
            listener = s if family == 4 else self.serve(namespace=self.client, port=82, addresses=("::",))
            self.assertEqual(self.attempt(own(family), 81 if family == 4 else 82, namespace=self.far).wait(), 0)
        self.datagram_socket(4).sendto(b"?", (SERVER4, 80))
        s.close()

    def test_the_handle_is_there_where_the_layer_can_pend(self):
        pender = self.pender()
        for place in PENDABLE + UNPENDABLE:
            self.ask_at(place)
        self.everything()
        for place in PENDABLE:
            with self.subTest(place):
                first = pender.wait_notes(place=place, reauthorize=0)[0]
                self.assertEqual((first["bit"], first["handle"], first["touched"]), (1, 1, 0))
                self.assertEqual((first["null"], first["unknown"], first["nowhere"]), (NULL_POINTER,) * 3)
        for place in UNPENDABLE:
            with self.subTest(place):
                pender.wait_notes(place=place)
                for note in pender.notes(place=place):
                    self.assertEqual((note["bit"], note["handle"], note["touched"]), (0, 0, 0))
        self.balances()

    def test_a_layer_that_cannot_pend_says_so_whatever_the_handle(self):
        pender = self.pender("pend")
        for place in UNPENDABLE:
            self.ask_at(place)
        self.everything()
        for place in UNPENDABLE:
            with self.subTest(place):
                note = pender.wait_notes(place=place)[0]
                self.assertEqual((note["null"], note["unknown"], note["pend"]), (CANNOT_PEND,) * 3)
                self.assertEqual((note["nowhere"], note["context"]), (NULL_POINTER, 0))
        self.balances()

    def test_what_is_authorised_again_cannot_be_pended(self):
        pender = self.pender()
        def asks():
            return [self.ask_at("connect_v4", remote_port=80), self.ask_at("accept_v4", local_port=81)]
        filters = asks()
        self.serve(namespace=self.client, port=81)
        flows = {"connect_v4": self.attempt(), "accept_v4": self.attempt(CLIENT4, 81, namespace=self.far)}
        for attempt in flows.values():
            self.assertEqual(attempt.wait(), 0)
        pender.order("do", "pend")
        asks()  # other filters: what the callout said to the ones before counts for those alone
        for number in filters:
            self.daemon.do("filter", "delete", number)
        for place, attempt in flows.items():
            attempt.socket.sendall(b"more")
            self.assertEqual(attempt.socket.recv(4), b"more")
            again = pender.wait_notes(place=place, reauthorize=1)[0]
            self.assertEqual((again["bit"], again["handle"], again["pend"], again["context"]), (0, 1, CANNOT_PEND, 0))
        self.balances()

    def test_pended_twice_and_after_the_classify(self):
        pender = self.pender("pend")
        self.ask_at("connect_v4", remote_port=80)
        attempt = self.attempt()
        note = pender.wait_notes()[0]
        self.assertEqual((note["pend"], note["again"]), (SUCCESS, CANNOT_PEND))
        self.daemon.wait_hold(state="held")
        self.assertEqual(pender.order("pend", 0), NULL_POINTER, "a handle is nothing once its classify returned")
        pender.order("complete", 0)
        self.assertEqual(attempt.wait(), 0)
        # within the completion's own classify
        again = pender.notes(reauthorize=1)
        self.assertEqual([(n["bit"], n["handle"], n["pend"]) for n in again], [(0, 1, CANNOT_PEND)])
        self.balances(PERMITTED=1)

    def test_a_pended_classify_that_answers_permit_is_held_all_the_same(self):
        pender = self.pender("pend", "open")
        self.ask_at("connect_v4", remote_port=80)
        attempt = self.attempt()
        self.daemon.wait_hold(state="held")
        self.assertIsNone(attempt.ended)
        pender.order("complete", 0)
        self.assertEqual(attempt.wait(), 0)
        self.balances(PERMITTED=1)
        self.assertEqual(pender.counters()["pend_mismatches"], 1)


class NotReady(PendTest):
    def asked(self):
        """A classify that has not pended yet."""
        self.pender_ = self.pender("pend", "wait")
        self.ask_at("connect_v4", remote_port=80)
        self.serve()
        attempt = self.attempt()
        self.daemon.wait_hold(state="asked")
        return attempt

    def refused(self):
        self.pender_.order("go")
        note = self.pender_.wait_notes()[0]
        self.assertEqual((note["pend"], note["context"], note["bit"], note["handle"]), (NOT_READY, 0, 1, 1))

    def test_the_data_plane_went_meanwhile(self):
        attempt = self.asked()
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        self.refused()
        self.assertEqual(attempt.wait(), errno.ECONNREFUSED, "as the filter says of a callout that is not there")
        self.nic_load()
        self.pender_.order("do", "pend")
        again = self.attempt()
        self.daemon.wait_hold(state="held")
        self.pender_.order("complete", 0)
        self.assertEqual(again.wait(), 0, "pending works again with the next data plane")

    def test_the_question_was_answered_by_the_watchdog(self):
        command = self.daemon.command
        self.daemon.stop()
        self.daemon.command = lambda: [*command(), "--watchdog-ms", "500"]
        self.daemon.start()
        attempt = self.asked()
        self.assertEqual(attempt.wait(), errno.ECONNREFUSED)
        time.sleep(0.5 * SLACK)  # the host hears of it a moment later
        self.refused()
        self.assertEqual(self.daemon.reason("ASK_EXPIRED"), 1)
        self.balances()

    def test_completed_and_injected_when_the_data_plane_is_gone(self):
        pender = self.pender("pend", "clone")
        self.ask_at("accept_v4", protocol="udp")
        here = self.serve(namespace=self.client, port=81)
        with self.far.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"?", (CLIENT4, 81))
        self.daemon.wait_hold(state="held")
        self.daemon.do("nic", "unload", "nic0", namespace=self.client)
        pender.order("complete", 0)
        self.assertEqual(pender.order("inject", 0), NOT_READY)
        self.assertEqual(here.datagrams, [])
        self.assertEqual(len(pender.notes()), 1, "nobody is asked again")


class Completion(PendTest):
    def setUp(self):
        super().setUp()
        self.serve()
        self.cap = self.capture()

    def held(self, pender, address=SERVER4, port=80, callout="pender_connect_v4"):
        """Pended; the place in which it has its number."""
        before = len(pender.notes(pend=SUCCESS)) if pender.notes_file.exists() else 0
        attempt = self.attempt(address, port)
        pender.wait_notes(before + 1, pend=SUCCESS)
        self.daemon.wait_hold(state="held", local=f"{CLIENT4}:{attempt.port}")
        return attempt

    def test_completed_twice(self):
        pender = self.pender("pend")
        self.ask_at("connect_v4", remote_port=80)
        first, other = self.held(pender), self.held(pender)
        pender.order("complete", 0)
        self.assertEqual(first.wait(), 0)
        pender.order("complete", 0)
        pender.order("complete-number", 0)
        time.sleep(0.3)
        self.assertEqual((len(self.daemon.holds(state="held")), other.ended), (1, None), "another hold is not touched")
        self.assertEqual(len(pender.notes(reauthorize=1)), 1, "nobody was asked a second time")
        pender.order("complete", 1)
        self.assertEqual(other.wait(), 0)
        self.balances(PERMITTED=2)
        counted = pender.counters()
        self.assertEqual((counted["stale_completions"], counted["holds_completed"]), (2, 2))

    def test_completed_by_another_host(self):
        """A context is a number of its process: to another one it is nothing."""
        mine, theirs = self.pender("pend", name="mine"), self.pender("pend", name="theirs")
        self.serve(port=81)
        self.ask_at("connect_v4", "mine", remote_port=80)
        self.ask_at("connect_v4", "theirs", remote_port=81)
        held, other = self.held(mine), self.held(theirs, port=81)
        theirs.order("complete-number", mine.order("context", 0))
        mine.order("complete-number", theirs.order("context", 0))
        time.sleep(0.3)
        self.assertEqual((len(self.daemon.holds(state="held")), held.ended, other.ended), (2, None, None))
        self.assertEqual(mine.notes(reauthorize=1) + theirs.notes(reauthorize=1), [])
        mine.order("complete", 0)
        theirs.order("complete", 0)
        self.assertEqual((held.wait(), other.wait()), (0, 0))
        self.balances(PERMITTED=2)
        for pender in (mine, theirs):
            self.assertEqual(pender.counters()["stale_completions"], 1)

    def late(self, pender, ports):
        """What was pended first is over: completing it does nothing at all."""
        self.assertEqual(self.daemon.reason("HOLD_ABANDONED"), 1)
        pender.order("complete", 0)
        time.sleep(0.3)
        self.assertEqual(pender.notes(reauthorize=1), [])
        self.assertEqual([p for p in self.cap.packets(TCP) if p.sport in ports], [])
        self.balances(ABANDONED=1)
        counted = pender.counters()
        self.assertEqual((counted["stale_completions"], counted["holds_decided"]), (1, 1))

    def test_completed_after_the_process_was_killed(self):
        pender = self.pender("pend")
        self.ask_at("connect_v4", remote_port=80)
        process = self.popen(self.client, "/usr/bin/python3", "-c", CONNECT)
        hold = self.daemon.wait_hold(state="held")
        self.assertEqual(hold["pid"], process.pid)
        process.kill()
        wait_for(lambda: not self.daemon.holds(), "its hold ends with it")
        self.late(pender, [int(hold["local"].rsplit(":", 1)[1])])

    def interrupted(self, pender):
        """connect() in a process of its own, ended by a signal: EINTR, and what then is written to its input."""
        script = ("import socket, signal, sys\n"
                  "signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(InterruptedError()))\n"
                  "s = socket.socket()\n"
                  "try: s.connect(('10.91.0.2', 80))\n"
                  "except InterruptedError: print('interrupted', flush=True)\n"
                  "if sys.stdin.readline().strip() == 'close': s.close()\n"
                  "else: s.settimeout(20); s.sendall(b'echo'); print(s.recv(4).decode(), flush=True)\n"
                  "sys.stdin.readline()\n")
        process = self.popen(self.client, "/usr/bin/python3", "-c", script, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        hold = self.daemon.wait_hold(state="held")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline(), "interrupted\n")
        return process, hold

    def say(self, process, word):
        process.stdin.write(word + "\n")
        process.stdin.flush()

    def test_completed_after_connect_was_interrupted_and_its_socket_closed(self):
        pender = self.pender("pend")
        self.ask_at("connect_v4", remote_port=80)
        process, hold = self.interrupted(pender)
        self.assertEqual(len(self.daemon.holds(state="held")), 1, "the kernel goes on connecting, and the hold with it")
        self.say(process, "close")
        wait_for(lambda: not self.daemon.holds(), "the hold ends with its socket")
        self.late(pender, [int(hold["local"].rsplit(":", 1)[1])])

    def test_completed_after_connect_was_interrupted(self):
        """It goes on in the background, as it would without us."""
        pender = self.pender("pend")
        self.ask_at("connect_v4", remote_port=80)
        process, _ = self.interrupted(pender)
        pender.order("complete", 0)
        wait_for(lambda: not self.daemon.holds(), "the hold is over")
        self.say(process, "use")
        self.assertEqual(process.stdout.readline(), "echo\n")
        self.balances(PERMITTED=1)


class Early(PendTest):
    """Completed before the classify that pended has returned."""

    def begin(self, *words, keep=True, places=("connect_v4",)):
        self.pender_ = self.pender("pend", *words, keep=keep)
        self.far_server = self.serve()
        for place in places:
            self.ask_at(place)

    def connects(self, address, port, namespace, wanted=0):
        self.assertEqual(self.attempt(address, port, namespace=namespace).wait(), wanted)

    def all_kinds(self, *words):
        self.begin(*words, places=PENDABLE)
        listener = self.client.socket(socket.AF_INET)
        self.addCleanup(listener.close)
        listener.bind((CLIENT4, 81))
        listener.listen(4)
        here = self.serve(namespace=self.client, port=82, addresses=("::",))
        for family in (4, 6):
            self.connects(server(family), 80, self.client)
            self.connects(own(family), 81 if family == 4 else 82, self.far)
            self.datagram_socket(family).sendto(b"%d" % family, (server(family), 80))
        wait_for(lambda: len(self.far_server.datagrams) == 2, "datagrams arrive")
        self.assertEqual(here.accepted, 1)
        pended = self.pender_.notes(pend=SUCCESS)
        self.assertEqual({n["place"] for n in pended}, set(PENDABLE))
        self.balances(PERMITTED=len(pended))
        self.assertEqual(len(self.pender_.notes(reauthorize=1)), len(pended), "each is asked once more")

    def test_in_the_same_thread(self):
        self.all_kinds("inside")

    def test_in_another_thread(self):
        self.all_kinds("beside")

    def test_completed_with_a_block(self):
        self.begin("inside", "refuse")
        self.connects(SERVER4, 80, self.client, errno.ECONNREFUSED)
        self.balances(BLOCKED=1)

    def test_what_is_flushed_is_gone_and_the_flow_permitted(self):
        self.begin("beside", keep=False)
        s = self.datagram_socket(4, connect=80)
        s.send(b"flushed")
        wait_for(lambda: self.daemon.reason("HOLD_PERMITTED"), "it is completed")
        wait_for(lambda: not self.daemon.holds(), "the hold is over")
        s.send(b"next")
        wait_for(lambda: self.far_server.datagrams, "what comes later arrives")
        time.sleep(0.3)
        self.assertEqual([data for _, data, _ in self.far_server.datagrams], [b"next"])


class Queued(PendTest):
    """Three datagrams behind a pended one, v4 and v6: what becomes of them when it is completed."""

    def sent(self, what, family):
        """Sends four, all of which wait; the sender, and who is to get them."""
        self.ask_at(f"{what}_v{family}", protocol="udp")
        origin, there = (self.client, self.far) if what == "connect" else (self.far, self.client)
        receiver = self.serve(namespace=there, port=5000 + family)
        sender = origin.socket(af(family), socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        sender.connect((server(family) if what == "connect" else own(family), 5000 + family))
        before = self.daemon.reason("UPCALL")
        for word in (b"one", b"two", b"three", b"four"):
            sender.send(word)
        self.daemon.wait_hold(state="held")
        wait_for(lambda: self.daemon.reason("UPCALL") == before + 4, "three wait behind the first")
        time.sleep(0.3)  # the host has read them
        self.assertEqual(receiver.datagrams, [])
        return sender, receiver

    def completed(self, what, *words, keep=False, clone=False):
        """What the receiver gets of them, and no more, also when more is sent."""
        pender = self.pender("pend", *(["clone"] if clone else []), keep=keep)
        for number, family in enumerate((4, 6)):
            sender, receiver = self.sent(what, family)
            pender.order("complete", number)
            if clone:
                self.assertEqual(pender.order("inject", number), SUCCESS)
            wait_for(lambda: not self.daemon.holds(), "the hold is over")
            wait_for(lambda: len(receiver.datagrams) >= len(words), f"{words} arrive")
            sender.send(b"later")
            wait_for(lambda: b"later" in [data for _, data, _ in receiver.datagrams], "the next one arrives")
            time.sleep(0.3)
            self.assertEqual([data for _, data, _ in receiver.datagrams], [*words, b"later"], f"v{family}")
        self.balances(PERMITTED=2)
        self.assertEqual(pender.counters()["released" if keep else "discarded"], 6)

    def test_flushed_at_connect_but_for_the_clone(self):
        self.completed("connect", b"one", clone=True)

    def test_flushed_at_accept_but_for_the_clone(self):
        self.completed("accept", b"one", clone=True)

    def test_flushed_at_connect_without_a_clone(self):
        self.completed("connect")

    def test_kept_at_connect(self):
        self.completed("connect", b"one", b"two", b"three", b"four", keep=True)

    def test_kept_at_accept(self):
        self.completed("accept", b"one", b"two", b"three", b"four", keep=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
