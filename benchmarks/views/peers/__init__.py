"""Ours and the peers: one file each, with how it does each of our edits.

Nothing here imports a peer before it is asked for: each runs in a process of its own.
"""

from __future__ import annotations

from importlib import import_module

from benchmarks.views.peers.peer import Native, Peer

PEERS = {
    "ours": "Ours",
    "torchvision": "Torchvision",
    "torchvision_pil": "TorchvisionPil",
    "albumentations": "Albumentations",
    "kornia": "Kornia",
    "augly": "Augly",
}

ENVIRONMENT = {"NO_ALBUMENTATIONS_UPDATE": "1"}  # else importing it asks the internet for a newer one


def peer_named(name: str) -> Peer:
    """ImportError if it isn't installed."""
    peer: Peer = getattr(import_module(f"{__name__}.{name}"), PEERS[name])()
    return peer


__all__ = ["ENVIRONMENT", "Native", "PEERS", "Peer", "peer_named"]
