import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.config import EmbedConfig
from clipbatch.runtime.placement import place

pytestmark = pytest.mark.quick

cpus = st.lists(st.integers(1, 128).map(float), min_size=1, max_size=6)


@given(cpus)
def test_actors_leave_half_of_every_cpu_node_to_decoding(sizes):
    found = place(EmbedConfig(), [(c, 0.0) for c in sizes])
    assert found.count >= 1
    assert found.num_gpus == 0
    assert found.count * found.num_cpus <= sum(sizes) / 2 + 1e-9
    assert found.threads <= min(sizes)


@given(
    st.lists(st.integers(1, 8).map(float), min_size=1, max_size=4),
    st.sampled_from([0.25, 0.5, 1.0]),
)
def test_actors_fit_the_gpus_of_their_nodes(gpus, share):
    found = place(EmbedConfig(num_gpus=share), [(8.0, g) for g in gpus])
    assert found.num_gpus == share
    assert found.count == sum(int(g / share) for g in gpus)


def test_a_gpu_is_taken_where_there_is_one_and_can_be_declined():
    assert place(EmbedConfig(), [(4.0, 2.0)]).num_gpus == 1.0
    assert place(EmbedConfig(num_gpus=0.0), [(4.0, 2.0)]).num_gpus == 0.0


def test_a_head_without_work_takes_no_actor():
    assert place(EmbedConfig(), [(0.0, 0.0), (4.0, 0.0)]).count == 4
