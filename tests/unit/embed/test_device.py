import os
import subprocess
import sys

import pytest
import torch

from clipbatch.embed import device

pytestmark = pytest.mark.quick

FAULTS = """
import resource, torch
from clipbatch.embed.device import keep_memory, set_threads
set_threads(1)
inputs, layer = torch.zeros(10 << 20), torch.nn.ReLU()  # 40 MB: glibc by itself keeps up to 32

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        layer(layer(layer(inputs)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
default = faults()
assert keep_memory()
print(default, min(faults() for _ in range(6)))  # the heap grows to its size in the first of them
"""


def test_a_gpu_is_taken_where_there_is_one():
    assert device.device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_threads_are_set_and_zero_takes_all():
    try:
        assert device.set_threads(1) == torch.get_num_threads() == 1
        assert device.set_threads(0) == torch.get_num_threads() == len(os.sched_getaffinity(0))
    finally:
        device.set_threads(1)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_kept_memory_is_not_faulted_in_again():
    run = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    default, kept = map(int, run.stdout.split())
    assert kept < default / 100  # default: three outputs of 10,240 pages, four times
