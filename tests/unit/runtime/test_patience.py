"""How long work waits for a node, and what is said; tests/ray has real nodes that die and join."""

import pytest

from clipbatch.errors import ConfigError, ExitCode
from clipbatch.runtime import patience, roll
from clipbatch.runtime.patience import Need, NoNode, Patience

pytestmark = pytest.mark.quick

ENCODE = Need("encode", 0.5, 1.0)
DECODE = Need("decode", 0.5)


def node(cpus, gpus=0.0, memory=8e9, key="a"):
    return patience.Node(key, "10.0.0.1", cpus, gpus, memory)


class World:
    """A clock, and the nodes that are there."""

    def __init__(self, monkeypatch):
        self.now, self.nodes, self.said = 1000.0, [], []
        monkeypatch.setattr(patience.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(patience, "live", lambda: self.nodes)
        monkeypatch.setattr(patience, "say", lambda _, text: self.said.append(text))

    def pass_seconds(self, waiting, seconds):
        for _ in range(int(seconds)):
            self.now += 1
            waiting.look()


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setenv(patience.WAIT_NAME, "150")
    return World(monkeypatch)


def test_a_wait_is_said_now_and_then_and_ends_with_what_to_do(world):
    waiting = Patience([DECODE, ENCODE])
    world.nodes = [node(4.0)]
    with pytest.raises(NoNode, match=r"no live node offers 1 GPU and 0.5 CPU to encode") as error:
        world.pass_seconds(waiting, 1000)
    assert 150 <= world.now - 1000 <= 160
    assert [text.count("more for one") for text in world.said] == [1, 1, 1]  # at 0, 60 and 120 s
    assert error.value.exit_code == ExitCode.INCOMPLETE
    assert "add such a node, then run the same command again" in str(error.value)


def test_a_node_that_comes_in_time_ends_the_wait_and_the_next_one_begins_anew(world):
    waiting = Patience([ENCODE])
    for _ in range(3):
        world.nodes = []
        world.pass_seconds(waiting, 140)
        world.nodes = [node(1.0, 1.0)]
        world.pass_seconds(waiting, 140)
    assert sum("is there after" in text for text in world.said) == 3


def test_a_head_without_cpus_takes_no_work_and_a_need_must_fit_on_one_node(world):
    world.nodes = [node(0.0, memory=1e12), node(1.0, 0.0), node(0.25, 1.0)]
    with pytest.raises(NoNode, match="encode"):
        world.pass_seconds(Patience([DECODE, ENCODE]), 1000)
    large = Need("measure", 1, memory=9e9)
    with pytest.raises(NoNode, match=r"1 CPU and 9.0 GB to measure"):
        world.pass_seconds(Patience([large]), 1000)
    world.nodes.append(node(1.0, 1.0, 9e9))
    world.pass_seconds(Patience([DECODE, ENCODE, large]), 1000)


def test_on_a_ray_of_our_own_no_node_is_waited_for(world):
    world.nodes = [node(2.0)]
    with pytest.raises(ConfigError, match=r"lower embed.num_gpus, or join a cluster"):
        Patience([ENCODE], grows=False).look()


@pytest.mark.parametrize("text", ["-1", "soon", "inf", "nan"])
def test_an_impossible_wait_is_refused(monkeypatch, text):
    monkeypatch.setenv(patience.WAIT_NAME, text)
    with pytest.raises(ConfigError, match="expected seconds"):
        Patience([DECODE])


def test_every_look_tells_who_is_there(world):
    seen = []
    world.nodes = [node(1.0)]
    world.pass_seconds(Patience([DECODE], joined=seen.append), 20)
    assert seen == [world.nodes] * 4


def test_nodes_that_come_and_go_are_told_and_asked_once(monkeypatch):
    asked, said = [], []
    monkeypatch.setattr(roll.RollCall, "_ask", lambda self, nodes: self._note(nodes, asked))
    monkeypatch.setattr(
        roll.RollCall,
        "_note",
        lambda self, nodes, to: [
            (to.append(n.key), self._known.__setitem__(n.key, n)) for n in nodes
        ],
        raising=False,
    )
    monkeypatch.setattr(roll, "say", lambda _, text: said.append(text))
    calls = roll.RollCall()
    for nodes in ([node(1.0)], [node(1.0)], [node(1.0), node(2.0, key="b")], [node(2.0, key="b")]):
        calls.joined(nodes)
    assert asked == ["a", "b"]
    assert [text.split(":")[0].rpartition(" ")[2] for text in said] == ["joined", "joined", "lost"]
