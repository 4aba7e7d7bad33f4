"""How many pictures a second does one core encode, and what does each measure bring?

    .venv/bin/python benchmarks/encoder.py [--rounds 20] [--compile]

Everything runs the same ready batch of 16 on one thread, a batch each in turn, so that a busy
machine is busy for all. A rate is pictures per second of the process's CPU time (all threads
count, waiting does not), the median of the rounds; a ratio is the median of the rounds' ratios to
plain eager mode. "1 - cos" is the largest of the 16 vectors against plain eager mode.
OpenVINO and ONNX Runtime take part where they are installed; clipbatch needs neither.
"""

import argparse
import importlib.util
import io
import time

import numpy as np
import open_clip
import torch
from torch import nn

from clipbatch import embed
from clipbatch.config import EmbedConfig
from clipbatch.embed import offline
from clipbatch.embed.device import keep_memory, set_threads
from clipbatch.embed.joint import model
from clipbatch.embed.noise import gaussian

BATCH = 16
CPU = torch.device("cpu")


def plain() -> nn.Module:
    """Return the picture side as timm and PyTorch have it: norms, padding and layout untouched."""
    tower = offline.classifier()
    head = model.image_head(tower.classifier)
    tower.reset_classifier(0)
    return nn.Sequential(tower, head).eval()


def _unit(vectors):
    return nn.functional.normalize(vectors).detach().numpy()


def ways(compiled: bool) -> dict:
    """Return name -> a function from a ready batch to its vectors."""
    eager, last, lean = plain(), plain().to(memory_format=torch.channels_last), offline.network()
    for network in (eager, last):
        network.requires_grad_(requires_grad=True)  # as create_model leaves it
    encoder = embed.load(EmbedConfig(), CPU)

    def inference(network, layout=torch.contiguous_format):
        @torch.inference_mode()
        def run(x):
            return _unit(network(x.contiguous(memory_format=layout)))

        return run

    found = {
        "plain eager": lambda x: _unit(eager(x)),
        "+ inference_mode": inference(eager),
        "+ channels last": inference(last, torch.channels_last),
        "+ norms and padding folded: what clipbatch runs": lambda x: encoder.encode(x).numpy(),
    }
    if compiled:
        found["the same, torch.compile"] = inference(
            torch.compile(lean.to(memory_format=torch.channels_last)), torch.channels_last
        )
    if importlib.util.find_spec("openvino"):
        found["the same, OpenVINO"] = _openvino(offline.network())
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        found["the same, ONNX Runtime"] = _onnx(offline.network())
    vit = open_clip.create_model("ViT-B-32").eval()
    found["open_clip ViT-B-32, random weights"] = inference(vit.encode_image)
    return found


def _openvino(network):
    import openvino

    converted = openvino.convert_model(network, example_input=torch.zeros(BATCH, 3, 224, 224))
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(converted, "CPU", settings)
    return lambda x: _unit(torch.from_numpy(run([x.numpy()])[0]))


def _onnx(network):
    import onnxruntime

    file = io.BytesIO()
    program = torch.onnx.export(network, (torch.zeros(BATCH, 3, 224, 224),), dynamo=True)
    program.save(file)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), options)
    name = session.get_inputs()[0].name
    return lambda x: _unit(torch.from_numpy(session.run(None, {name: x.numpy()})[0]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="torch.compile too; takes minutes")
    given = parser.parse_args()
    keep_memory()
    set_threads(1)
    ready = gaussian([bytes([i] * 16) for i in range(BATCH)], (3, 224, 224), CPU)
    runs = ways(given.compile)
    vectors = {name: run(ready) for name, run in runs.items()}  # warm
    seconds: dict = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, run in runs.items():
            began = time.process_time()
            run(ready)
            seconds[name].append(time.process_time() - began)
    first = np.array(seconds["plain eager"])
    print(f"torch {torch.__version__}, {given.rounds} rounds of {BATCH} pictures\n")
    print("| | pictures/s per core | ratio | 1 - cos |\n|---|---|---|---|")
    for name, taken in seconds.items():
        same = vectors[name].shape == vectors["plain eager"].shape and "ViT" not in name
        apart = 1 - (vectors[name] * vectors["plain eager"]).sum(axis=1) if same else None
        far = f"{max(apart.max(), 0):.1e}" if same else ""
        rate, ratio = BATCH / np.median(taken), np.median(first / np.array(taken))
        print(f"| {name} | {rate:.1f} | {ratio:.2f} | {far} |")


if __name__ == "__main__":
    main()
