"""Benchmarks in the form of DISC21 and NDEC, of plain photos: edited copies, and what only looks like one.

photos.py    the photos that can be used            kinship.py  which of them belong together
roles.py     which photo is query, reference, crop, distractor, or left out
banks/       edits: families at three strengths     plan.py     what every query and reference is
pictures.py  the plan drawn   tables.py page.py  and told      folder.py  a whole folder or none
"""

from asl_fast.challenge.banks import BANKS, FAMILIES, Bank, bank_named
from asl_fast.challenge.folder import whole_folder
from asl_fast.challenge.kinship import Kinship, read_groups
from asl_fast.challenge.page import write_page
from asl_fast.challenge.photos import Photos, usable_photos
from asl_fast.challenge.pictures import Drawing
from asl_fast.challenge.plan import QUERY_KINDS, Query, Reference, plan
from asl_fast.challenge.roles import Roles, Wanted, give_roles
from asl_fast.challenge.tables import write_tables

__all__ = [
    "BANKS", "Bank", "Drawing", "FAMILIES", "Kinship", "Photos", "QUERY_KINDS", "Query", "Reference",
    "Roles", "Wanted", "bank_named", "give_roles", "plan", "read_groups", "usable_photos", "whole_folder",
    "write_page", "write_tables",
]  # fmt: skip
