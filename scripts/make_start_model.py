"""Build asl_fast/models/imagenet/: an ImageNet EfficientNet-Lite0 under GeM and a BN neck.

    python scripts/make_start_model.py --weights tf_efficientnet_lite0.safetensors
    python scripts/make_start_model.py --weights W.safetensors --edge-px 288 --gem-p 4 --calibrate photos/

--calibrate fits the neck's running mean and variance to the photos of a folder, so that every column of a
row counts alike; without it the neck changes nothing. The folder's LICENSE and README.md stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import torch
from safetensors.torch import load_file

from asl_fast.images import Framing, Resize, find_images, load_batches
from asl_fast.models import SHIPPED, Descriptor, DescriptorConfig, save_descriptor

BACKBONE = "tf_efficientnet_lite0"


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--weights", required=True, help=f"safetensors of timm's {BACKBONE}")
    arguments.add_argument("--out", default=SHIPPED["imagenet"], help="model folder (default: the package's)")
    arguments.add_argument("--edge-px", type=int, default=224)
    arguments.add_argument("--gem-p", type=float, default=3.0)
    arguments.add_argument("--calibrate", metavar="DIR", help="fit the neck's statistics to these photos")
    return arguments


def load_backbone(module: Descriptor, path: str) -> None:
    """Fill the backbone with ImageNet weights, less the classifier."""
    weights = {name: value for name, value in load_file(path).items() if not name.startswith("classifier.")}
    module.backbone.load_state_dict(weights, strict=True)


@torch.inference_mode()
def calibrate(module: Descriptor, folder: str) -> int:
    """Set the neck's running mean and variance to those of the folder's rows; return how many there were."""
    module.eval()
    framing = Framing(resizes=(Resize(edge_px=module.config.edge_px, mode=module.config.resize_mode),))
    rows = []
    for batch in load_batches(find_images(folder, ids="path"), framing, batch_size=32, num_threads=2):
        if len(batch.file_B):
            pixels_BHWC = torch.from_numpy(np.stack([frames[0] for frames in batch.frames_B]))
            rows.append(module.before_neck(pixels_BHWC.permute(0, 3, 1, 2)).double())
    row_ND = torch.cat(rows)
    module.neck.running_mean.copy_(row_ND.mean(dim=0))
    module.neck.running_var.copy_(row_ND.var(dim=0))
    return len(row_ND)


def main() -> None:
    args = parser().parse_args()
    config = DescriptorConfig(
        backbone=BACKBONE,
        gem_p=args.gem_p,
        edge_px=args.edge_px,
        note="ImageNet weights with GeM; not trained for copy detection, the ratio is only a weak hint",
    )
    module = Descriptor(config)
    load_backbone(module, args.weights)
    if args.calibrate:
        num_rows = calibrate(module, args.calibrate)
        print(f"neck fitted to {num_rows} photos")
    name = save_descriptor(args.out, module, config, half=True)
    print(f"{args.out}: {module.num_dims} dims, fingerprint {name}, {dataclasses.asdict(config)}")


if __name__ == "__main__":
    main()
