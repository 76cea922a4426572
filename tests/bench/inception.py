"""Images a second of Inception's features, against torch-fidelity's extractor; and what bf16 does to FID.

    python tests/bench/inception.py --threads 2
    python tests/bench/inception.py --threads 1 --fid 6000 --images ../shared/data/cifar10/test.parquet

All in one run, taking turns, the best of `--repeat`; a second is one of the process's CPU time divided by the threads,
so that other programs count less. Weights are made by rule: speed does not depend on them. torch-fidelity is compared
with if `pip install --no-deps torch-fidelity` put it there, and else the plain layers, which are about as fast.
`--fid` compares distances between two halves of as many images, of which the second is blurred, in fp32 and bf16.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import os
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from imaging import FewSamples, InceptionV3, frechet_distance
from imaging.extractors.inception import resized_as_tensorflow_1
from imaging.extractors.inception_network import Network

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures"))
import inception_by_rule


def torch_fidelity(weights: dict[str, Tensor]) -> Callable[[Tensor], object] | None:
    """Its extractor, if it is installed. The package needs torchvision for others, so only this module is loaded."""
    spec = importlib.util.find_spec("torch_fidelity")
    if spec is None or spec.submodule_search_locations is None:
        return None
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["torch_fidelity"] = package
    module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(weights, path)
        return module.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path))


def plain(weights: dict[str, Tensor]) -> Callable[[Tensor], object]:
    """The layers as they are defined: NCHW, normalizations not folded."""
    network = Network().eval()
    network.load_state_dict(weights)
    return lambda images: network.trunk(((resized_as_tensorflow_1(images, 299) - 128) / 128).contiguous())


def compare_speed(weights: dict[str, Tensor], batch: int, side: int, threads: int, repeat: int) -> None:
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)
    extractors: dict[str, Callable[[Tensor], object]] = {}
    if (other := torch_fidelity(weights)) is not None:
        extractors["torch-fidelity"] = other
    extractors["plain layers"] = plain(weights)
    extractors["InceptionV3 fp32"] = InceptionV3(weights)
    extractors["InceptionV3 bf16"] = InceptionV3(weights, precision="bf16")
    best = dict.fromkeys(extractors, np.inf)
    with torch.no_grad():
        for turn in range(repeat + 1):
            for name, extract in extractors.items():
                started = time.process_time()
                extract(images)
                if turn:  # the first is to warm up
                    best[name] = min(best[name], (time.process_time() - started) / threads)
    first = next(iter(extractors))
    print(f"batch {batch} of {side} × {side}, {threads} threads, load {os.getloadavg()[0]:.1f}")
    if first != "torch-fidelity":
        print("torch-fidelity is not installed: compared with the plain layers")
    for name, taken in best.items():
        print(f"{name:18} {batch / taken:7.1f} images/s  {best[first] / taken:5.2f} × {first}")


def images_of(path: Path | None, count: int) -> Tensor:
    """uint8 (count, 3, 32, 32): decoded from a parquet file, or patches of colour."""
    if path is None:
        patches = torch.randint(0, 256, (count, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        return patches.repeat_interleave(4, 2).repeat_interleave(4, 3)
    import pyarrow.parquet as pq
    from PIL import Image

    column = pq.read_table(path).column(0).to_pylist()[:count]
    pictures = [Image.open(io.BytesIO(row["bytes"] if isinstance(row, dict) else row)).convert("RGB") for row in column]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)


def compare_distances(weights: dict[str, Tensor], images: Tensor, batch: int) -> None:
    half = len(images) // 2
    blurred = torch.nn.functional.avg_pool2d(images[half:].float(), 3, stride=1, padding=1, count_include_pad=False)
    sets = {"the other half": images[half:], "the other half, blurred": blurred.round().to(torch.uint8)}
    found: dict[str, dict[str, np.ndarray]] = {}
    for precision in ("fp32", "bf16"):
        network = InceptionV3(weights, precision=precision)
        for name, part in {"reference": images[:half], **sets}.items():
            rows = [network(part[start : start + batch]) for start in range(0, len(part), batch)]
            for kind in ("pool", "spatial"):
                found.setdefault(f"{precision} {name}", {})[kind] = torch.cat([row[kind] for row in rows]).numpy()
    for kind in ("pool", "spatial"):
        exact, rounded = found["fp32 reference"][kind], found["bf16 reference"][kind]
        print(f"{kind}: relative error of bf16 {np.linalg.norm(rounded - exact) / np.linalg.norm(exact):.2e}")
        for name in sets:
            fp32 = frechet_distance(exact, found[f"fp32 {name}"][kind])
            bf16 = frechet_distance(rounded, found[f"bf16 {name}"][kind])
            mixed = frechet_distance(exact, found[f"bf16 {name}"][kind])
            print(
                f"  distance to {name}: fp32 {fp32:.6g}, bf16 {bf16:.6g} ({bf16 / fp32 - 1:+.2%}), "
                f"fp32 reference and bf16 samples {mixed:.6g} ({mixed / fp32 - 1:+.2%})"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=4)
    parser.add_argument("--fid", type=int, default=0, metavar="N", help="compare distances on N images")
    parser.add_argument("--images", type=Path, help="a parquet file of encoded images; else patches of colour")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore", FewSamples)
    weights = inception_by_rule.weights()
    compare_speed(weights, args.batch, args.side, args.threads, args.repeat)
    if args.fid:
        compare_distances(weights, images_of(args.images, args.fid), args.batch)


if __name__ == "__main__":
    main()
