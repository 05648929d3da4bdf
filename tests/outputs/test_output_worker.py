"""The bounded queue before each output: it never waits, and it counts exactly."""

import threading
import time

import pytest

from bci.outputs.queue import ATTEMPTS, OutputWorker

LABELS = ("13 Hz", "17 Hz")


class Recorder:
    """An output that keeps what it is sent, and that can be made to block or to fail."""

    name = "recorder"

    def __init__(self):
        self.sent = []
        self.threads = set()
        self.opened = 0
        self.closed = 0
        self.fail_open = 0  # times
        self.fail_send = 0
        self.entered = threading.Event()  # a send has begun
        self.gate = threading.Event()  # sends wait for it
        self.gate.set()

    def open(self, labels):
        assert labels == LABELS
        self.threads.add(threading.get_ident())
        self.opened += 1
        if self.fail_open > 0:
            self.fail_open -= 1
            raise OSError("no route to host")

    def send(self, decision):
        self.threads.add(threading.get_ident())
        self.entered.set()
        self.gate.wait(20)
        if self.fail_send > 0:
            self.fail_send -= 1
            raise OSError("disk full")
        self.sent.append(decision.seq)

    def close(self):
        self.threads.add(threading.get_ident())
        self.closed += 1


@pytest.fixture
def output():
    recorder = Recorder()
    yield recorder
    recorder.gate.set()


@pytest.fixture
def worker(output):
    made = OutputWorker(output, maxlen=10)
    yield made
    output.gate.set()
    assert made.close(2.0)


def test_all_is_delivered_in_order_by_one_thread(output, worker, decide):
    worker.start(LABELS)
    assert worker.wait_open(2.0)
    for seq in range(10):
        worker.put(decide(seq))
    assert worker.close(2.0)
    assert output.sent == list(range(10))
    assert (worker.n_sent, worker.n_dropped, worker.n_errors) == (10, 0, 0)
    assert worker.last_error is None
    assert output.closed == 1
    assert len(output.threads) == 1
    assert threading.get_ident() not in output.threads


def test_a_blocked_output_costs_nothing_but_its_own_oldest(output, worker, decide):
    output.gate.clear()
    worker.start(LABELS)
    worker.put(decide(0))
    assert output.entered.wait(2.0)
    slowest = 0.0
    for seq in range(1, 1001):
        decision = decide(seq)
        before = time.perf_counter()
        worker.put(decision)
        slowest = max(slowest, time.perf_counter() - before)
    assert slowest < 0.1  # the scheduler's, not the output's
    assert worker.n_dropped == 990
    assert worker.backlog == 10
    assert worker.n_sent == 0
    output.gate.set()
    assert worker.close(2.0)
    assert output.sent == [0, *range(991, 1001)]
    assert worker.n_sent + worker.n_dropped == 1001


def test_close_gives_up_at_its_deadline(output, worker, decide):
    output.gate.clear()
    worker.start(LABELS)
    for seq in range(5):
        worker.put(decide(seq))
    assert output.entered.wait(2.0)
    before = time.monotonic()
    assert not worker.close(0.2)
    assert time.monotonic() - before < 1.0
    assert worker.n_dropped == 4  # the fifth is in the blocked output's hand
    worker.put(decide(5))
    assert worker.n_dropped == 5
    output.gate.set()
    assert worker.close(2.0)
    assert output.sent == [0]
    assert (worker.n_sent, worker.n_dropped) == (1, 5)
    assert output.closed == 1


def test_a_failed_send_is_tried_again_on_a_new_connection(output, worker, decide):
    output.fail_send = ATTEMPTS - 1
    worker.start(LABELS)
    worker.put(decide(0))
    worker.put(decide(1))
    assert worker.close(5.0)
    assert output.sent == [0, 1]
    assert output.opened == ATTEMPTS
    assert output.closed == ATTEMPTS
    assert (worker.n_sent, worker.n_dropped, worker.n_errors) == (2, 0, ATTEMPTS - 1)
    assert worker.last_error is None


def test_a_decision_that_always_fails_gives_way_to_the_next(output, worker, decide):
    output.fail_send = ATTEMPTS
    worker.start(LABELS)
    worker.put(decide(0))
    worker.put(decide(1))
    assert worker.close(5.0)
    assert output.sent == [1]
    assert (worker.n_sent, worker.n_dropped, worker.n_errors) == (1, 1, ATTEMPTS)


def test_an_output_that_opens_late_gets_what_waited(output, worker, decide):
    output.fail_open = 3
    worker.start(LABELS)
    worker.put(decide(0))
    assert not worker.wait_open(0.05)
    assert worker.last_error == "no route to host"
    assert worker.wait_open(5.0)
    assert worker.close(2.0)
    assert output.sent == [0]
    assert worker.n_errors == 3


def test_close_does_not_wait_for_an_output_that_never_opens(output, worker, decide):
    output.fail_open = 10**9
    worker.start(LABELS)
    before = time.monotonic()
    assert worker.close(5.0)  # nothing waits, so nothing is waited for
    assert time.monotonic() - before < 1.0
    other = OutputWorker(output)
    other.start(LABELS)
    other.put(decide(0))
    assert other.close(0.3)
    assert (other.n_sent, other.n_dropped) == (0, 1)


def test_a_worker_that_never_started_closes(output, worker, decide):
    worker.put(decide(0))
    assert worker.close(0.1)
    assert worker.n_dropped == 1


def test_a_queue_needs_room(output):
    with pytest.raises(ValueError, match="holds nothing"):
        OutputWorker(output, maxlen=0)
