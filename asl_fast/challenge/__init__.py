"""Benchmarks in the form of DISC21 and NDEC, of plain photos: edited copies, and what only looks like one.

photos.py   the photos that can be used        kinship.py  which of them belong together
roles.py    which photo is query, reference, crop, distractor, or left out
bank.py     what a bank of edits is: families, strengths; own_edits.py, augly_edits.py are two
making.py   the plan drawn into files          folder.py   a folder that appears whole or not at all
"""

from asl_fast.challenge.bank import BANKS, STRENGTHS, Bank, bank_named
from asl_fast.challenge.folder import whole_folder
from asl_fast.challenge.kinship import Kinship, read_groups
from asl_fast.challenge.making import Query, Reference, make_pictures, plan_queries, write_tables
from asl_fast.challenge.photos import Photos, usable_photos
from asl_fast.challenge.roles import Roles, Wanted, give_roles

__all__ = [
    "BANKS", "Bank", "Kinship", "Photos", "Query", "Reference", "Roles", "STRENGTHS", "Wanted", "bank_named",
    "give_roles", "make_pictures", "plan_queries", "read_groups", "usable_photos", "whole_folder",
    "write_tables",
]  # fmt: skip
