"""Workers of a Ray cluster: one of two machines, on this one, of which a worker is killed."""

import os
import shutil
import signal
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

import qnn
from qnn.errors import ToolError
from qnn.farm import ray_address, ray_crew
from qnn.farm.farm import Farm
from sim.verify import verify
from sim.verify_many import verify_many
from tests.compiler import small_graphs
from tests.farm import work
from tests.farm.test_farm import all_end
from tests.graphs import images

SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
ADVICE = (
    "start one with 'ray start --head', join it with 'ray start --address=HOST:PORT', or leave out "
    "--ray"
)


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one core each."""
    # Before Ray is imported: a machine that does other things takes long to start all its parts.
    os.environ |= {"RAY_raylet_start_wait_time_s": "120", "RAY_USAGE_STATS_ENABLED": "0"}
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    # Where Ray notes which cluster a machine has joined, whatever folder the cluster has: on a
    # machine that has never run Ray nobody makes it.
    Path(tempfile.gettempdir(), "ray").mkdir(exist_ok=True)
    # A short name, as sockets lie in it.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={**SMALL, "temp_dir": folder})
    try:
        made.add_node(**SMALL)
        yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.ray
def test_nothing_is_lost_where_a_worker_of_a_cluster_is_killed(cluster, tmp_path):
    left, pids, found = set(range(8)), [], []
    with Farm(ray=cluster.address) as farm:
        assert farm.workers == 2
        for done in farm.run(partial(work.on_cluster, tmp_path), range(8)):
            found.append(done)
            left.remove(done.item)
            under_way = [p for p in tmp_path.iterdir() if int(p.name.split("-")[0]) in left]
            if not pids and under_way:
                pid, child = int(under_way[0].name.split("-")[1]), under_way[0].read_text()
                os.kill(pid, signal.SIGKILL)
                pids = [pid, child]
    found.sort(key=lambda done: done.index)
    assert [(done.result[0], done.failure) for done in found] == [(n * n, None) for n in range(8)]
    assert sorted(done.tries for done in found) == [1] * 7 + [2]
    assert len({done.result[1] for done in found}) == 2
    all_end([*pids, *(path.name.split("-")[1] for path in tmp_path.iterdir())])


@pytest.mark.ray
def test_failures_and_warnings_are_as_those_of_processes(cluster, monkeypatch):
    items = [4, 3, -2]
    texts = [None, "3 is odd and cannot be halved", "ValueError: -2 is negative"]
    # As Ray finds the cluster that this machine has joined, also where it has joined several.
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with Farm(ray="auto", tries=1) as farm:
        found = sorted(farm.run(work.halved, items), key=lambda done: done.index)
        assert [done.failure for done in found] == texts
        with pytest.warns(match="^few images$"):
            list(farm.run(work.warned, ["few images"]))
        (died,) = farm.run(work.ended, ["left"])
        assert died.failure.startswith("its worker died: Worker unexpectedly exits")
        (late,) = farm.run(work.slept, [60], seconds=0.5)
        assert late.failure == "needs more than 0.5 s"


@pytest.mark.ray
def test_machines_of_a_cluster_verify_what_one_does(cluster):
    graph = small_graphs.network()
    design, x = qnn.compile(graph), images(graph, 4)
    with Farm(ray=cluster.address) as farm:
        (report,) = verify_many([design], [x], "functional", farm)
    whole = verify(design, x, "functional")
    assert report.values_compared == whole.values_compared > 0
    assert sorted(report.layers, key=str) == sorted(whole.layers, key=str)


@pytest.mark.ray
def test_a_machine_with_other_code_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(ray_crew, "code_of_machine", lambda: "qnn of today")
    with Farm(ray=cluster.address) as farm, pytest.raises(ToolError) as error:
        list(farm.run(work.halved, [2]))
    text = str(error.value)
    assert text.startswith("--ray needs the same code on all machines, but one has qnn ")
    assert text.endswith(", and this one qnn of today; install the same")


def refusal(address):
    with pytest.raises(ToolError) as error, Farm(ray=address):
        pass
    return str(error.value)


def test_ray_that_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refusal("auto") == (
        "--ray needs the package ray, which is not installed; run pip install 'qnn[farm]'"
    )


@pytest.fixture
def no_ray(monkeypatch):
    """Stands for a Ray that nothing has to be imported of before an address is refused."""

    class Ray:
        is_initialized = staticmethod(lambda: False)

    monkeypatch.setitem(sys.modules, "ray", Ray)


@pytest.mark.parametrize("address", ["machine", "machine:", ":6379", "machine:99999", ""])
def test_what_is_no_address_is_refused(no_ray, address):
    assert refusal(address) == (
        f"--ray needs 'auto' or HOST:PORT of a Ray cluster, not '{address}'"
    )


def test_an_address_where_nobody_listens_is_refused(no_ray):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        assert refusal(address) == (
            f"--ray {address} needs a Ray cluster at {address}, but none answers (Connection "
            f"refused); {ADVICE}"
        )


def test_who_listens_and_never_answers_is_given_up(no_ray, monkeypatch):
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 1)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        assert refusal(address) == (
            f"--ray {address} needs a Ray cluster at {address}, but none answers (nothing answered "
            f"in 1 s); {ADVICE}"
        )


def test_a_machine_that_has_joined_no_cluster_is_told(no_ray, monkeypatch):
    monkeypatch.setattr(ray_address.sys, "executable", "/bin/false")
    assert refusal("auto") == (
        "--ray auto needs a Ray cluster that this machine has joined, but none answers (its "
        f"process died); {ADVICE}"
    )
