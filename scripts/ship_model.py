"""Put a trained model into the package as the default: fp16 weights, its thresholds, a note.

    python scripts/ship_model.py --model runs/two/model --tau 1.05 --min-score 0.5

The folder's LICENSE and README.md (the model card) are kept; bring the card up to date by hand.
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
    arguments.add_argument("--tau", type=float, required=True, help="calibrated ratio threshold")
    arguments.add_argument("--min-score", type=float, required=True, help="calibrated score threshold")
    arguments.add_argument("--note", required=True, help="one line on what it was trained on")
    args = arguments.parse_args()
    loaded = load_descriptor(args.model)
    config = dataclasses.replace(loaded.config, tau=args.tau, min_score=args.min_score, note=args.note)
    name = save_descriptor(SHIPPED["default"], loaded.module, config, half=True)
    print(f"{SHIPPED['default']}: fingerprint {name}")


if __name__ == "__main__":
    main()
