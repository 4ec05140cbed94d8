"""Put a trained model into the package as the default: fp16 weights, a note, and rows for a test.

    python scripts/ship_model.py --model runs/two/model --note "..."
    asl-fast calibrate --matches matches.csv --truth truth.csv --model asl_fast/models/default

Thresholds are of the weights as they are stored, so they are measured with the shipped folder. The folder's
LICENSE and README.md (the model card) are kept; bring the card up to date by hand. scripts/train_small.sh
does all of it but that.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from asl_fast import load_model
from asl_fast.embeddings import write_embeddings
from asl_fast.images import find_images
from asl_fast.models import BACKGROUND, SHIPPED, load_descriptor, save_descriptor
from asl_fast.records import Embeddings

ROOT = Path(__file__).parents[1]
KNOWN_ROWS = ROOT / "tests" / "models" / "default_rows.npz"  # tests/models/test_default_model.py


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--model", required=True, help="model folder that `train` wrote")
    arguments.add_argument("--note", required=True, help="one line on what it was trained on")
    arguments.add_argument("--background", required=True, help="photos whose rows scores are normalised by")
    args = arguments.parse_args()
    loaded = load_descriptor(args.model)
    config = dataclasses.replace(loaded.config, note=args.note)
    name = save_descriptor(SHIPPED["default"], loaded.module, config, half=True)
    print(f"{SHIPPED['default']}: fingerprint {name}")
    background, _ = load_model("default").embed_files(find_images(args.background, ids="path"), progress=True)
    half = Embeddings(
        ids=[f"{place:04d}" for place in range(len(background))],
        row_ND=background.row_ND.astype(np.float16),
        fingerprint=background.fingerprint,
    )
    write_embeddings(SHIPPED["default"] / BACKGROUND, half)
    known, _ = load_model("default").embed_files(find_images(ROOT / "examples" / "queries"))
    write_embeddings(KNOWN_ROWS, known)


if __name__ == "__main__":
    main()
