"""What may be in flight, and how many requests a minute, whoever asks."""

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import StorageError
from transforms.storage.services import Service, limits, slot

FAR = Service("far", ("far",), "http://far.example", connections=2, requests_per_minute=60)


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setattr(limits.tempfile, "gettempdir", lambda: str(tmp_path))


def in_any_minute(times):
    """The most requests in a minute that begins with one of them."""
    times = sorted(times)
    return max(sum(begin <= one < begin + 60 for one in times) for begin in times)


@given(
    rate=st.integers(10, 3000),
    machines=st.integers(1, 6),
    pauses=st.lists(st.floats(0, 40), min_size=1, max_size=60),
    burst=st.integers(1, 60),
)
def test_never_more_in_any_minute(tmp_path_factory, rate, machines, pauses, burst):
    """Requests come in bursts after pauses, on machines that do not know of each other.

    Before that, the launcher has asked for as much as it may.
    """
    machines = min(machines, replace(FAR, requests_per_minute=rate, connections=None).most_machines)
    sent = []

    def ask(service, start, times):
        with pytest.MonkeyPatch.context() as patch:
            place = tmp_path_factory.mktemp("machine")
            patch.setattr(limits.tempfile, "gettempdir", lambda: str(place))
            now = [start]
            patch.setattr(limits.time, "time", lambda: now[0])
            for number in times:
                now[0] += number
                wait = limits.turn(service)
                now[0] += wait
                sent.append(now[0])

    alone = replace(FAR, requests_per_minute=rate, connections=None, machines=1)
    first = min(rate, 200)
    ask(alone, 1000.0, [0.0] * first)
    begin = max(sent)
    arrivals = [pause if number == 0 else 0.0 for pause in pauses for number in range(burst)][:200]
    for _ in range(machines):
        ask(replace(alone, machines=machines), begin, arrivals)
    assert in_any_minute(sent) <= rate


def test_the_limit_is_used_well():
    """A machine alone sends nine tenths of what is allowed."""
    service = replace(FAR, requests_per_minute=2000)
    assert 60 / service.pause > 0.9 * 2000
    assert 60 / replace(service, machines=4).pause > 0.9 * 500


def test_a_clock_that_was_set_back_holds_nobody_up(monkeypatch):
    now = [1e9]
    monkeypatch.setattr(limits.time, "time", lambda: now[0])
    limits.turn(FAR)
    now[0] = 1e6
    assert limits.turn(FAR) < 2


def test_slots_are_as_many_as_connections():
    held, most, lock = [0], [0], threading.Lock()

    def work():
        for _ in range(5):
            with slot(FAR):
                with lock:
                    held[0] += 1
                    most[0] = max(most[0], held[0])
                threading.Event().wait(0.005)
                with lock:
                    held[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [2]


def test_who_holds_a_slot_goes_on_with_it():
    one = replace(FAR, connections=1)
    with slot(one), slot(one), slot(one):
        pass


@pytest.mark.parametrize("address", ["https://FAR.example/", "http://far.example:80"])
def test_a_host_is_the_same_however_its_endpoint_is_written(address):
    assert limits._folder(FAR) == limits._folder(replace(FAR, endpoint=address))


def test_no_service_no_slot():
    with slot(None), slot(replace(FAR, connections=None)):
        pass


def test_a_folder_of_others_is_not_used(tmp_path):
    (tmp_path / f"ghsl-beam-limits-{limits.os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"ghsl-beam-limits-{limits.os.getuid()}").chmod(0o777)
    with pytest.raises(StorageError, match="belongs to another user; remove it"), slot(FAR):
        pass
