"""Put a trained model into the package as the default: fp16 weights and a note.

    python scripts/ship_model.py --model runs/two/model --note "..."
    asl-fast calibrate --matches matches.csv --truth truth.csv --model asl_fast/models/default

Thresholds are of the weights as they are stored, so they are measured with the shipped folder. The folder's
LICENSE and README.md (the model card) are kept; bring the card up to date by hand.
"""

from __future__ import annotations

import argparse
import dataclasses

from asl_fast.models import SHIPPED, load_descriptor, save_descriptor


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--model", required=True, help="model folder that `train` wrote")
    arguments.add_argument("--note", required=True, help="one line on what it was trained on")
    args = arguments.parse_args()
    loaded = load_descriptor(args.model)
    config = dataclasses.replace(loaded.config, note=args.note)
    name = save_descriptor(SHIPPED["default"], loaded.module, config, half=True)
    print(f"{SHIPPED['default']}: fingerprint {name}")


if __name__ == "__main__":
    main()
