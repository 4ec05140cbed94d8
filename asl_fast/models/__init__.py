"""Pixels -> raw rows: timm backbone, GeM pooling, BN neck; by name, from a folder, a hub or TorchScript.

config.py      what a descriptor is, apart from its weights
descriptor.py  the network
storage.py     a folder with model.safetensors and config.json, and the fingerprint
names.py       name or path -> network
sscd.py        TorchScript files with SSCD's interface
fuse.py        batch norms folded into convolutions, for inference; frozen_norms.py  in training, where their
               statistics are frozen; norm_pairs.py  which norm reads which convolution
scales.py      rows of one picture at several sizes -> one row
"""

from asl_fast.models.config import DescriptorConfig
from asl_fast.models.descriptor import Descriptor, check_backbone
from asl_fast.models.frozen_norms import join_frozen_norms
from asl_fast.models.fuse import fuse_norms
from asl_fast.models.names import BACKGROUND, SHIPPED, check_device, find_background, load_descriptor
from asl_fast.models.pooling import GeM
from asl_fast.models.scales import joined_scales
from asl_fast.models.sscd import has_unit_rows
from asl_fast.models.storage import Loaded, save_descriptor

__all__ = [
    "BACKGROUND",
    "SHIPPED",
    "Descriptor",
    "DescriptorConfig",
    "GeM",
    "Loaded",
    "check_backbone",
    "check_device",
    "find_background",
    "fuse_norms",
    "has_unit_rows",
    "join_frozen_norms",
    "joined_scales",
    "load_descriptor",
    "save_descriptor",
]
