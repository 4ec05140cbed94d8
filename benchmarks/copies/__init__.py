"""Copy detection on a benchmark that `asl-fast benchmark make` made: ours beside perceptual hashes.

hashes.py     PDQ and pHash: pictures to bits   nearest.py  bits to predictions
measuring.py  predictions to rows               tables.py  rows as Markdown
"""
