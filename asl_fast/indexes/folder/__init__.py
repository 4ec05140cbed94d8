"""An index on disk: a folder of immutable shards sorted by norm, and a small catalogue of them.

IndexFolder("refs.index").create(num_dims=256)
IndexFolder("refs.index").add([embeddings])
with IndexFolder.open("refs.index") as snapshot:
    found = snapshot.search(queries, k=10, tau=1.0)

sections.py section_writer.py   a file of checksummed arrays
shard.py codes.py               rows sorted by norm, their codes
merge.py texts.py               several shards in one order; ids and paths
catalogue.py                    one state of the index
store.py lock.py leftovers.py   create, add, remove, compact
snapshot.py                     read: search, embeddings
verify.py salvage.py repair.py  when bytes have changed
"""

from asl_fast.indexes.folder.catalogue import holds_index
from asl_fast.indexes.folder.repair import Repaired, repair
from asl_fast.indexes.folder.sections import Damaged
from asl_fast.indexes.folder.snapshot import Snapshot
from asl_fast.indexes.folder.store import SHARD_ROWS, Added, Compacted, IndexFolder
from asl_fast.indexes.folder.verify import Damage, Verified, verify

__all__ = [
    "SHARD_ROWS",
    "Added",
    "Compacted",
    "Damage",
    "Damaged",
    "IndexFolder",
    "Repaired",
    "Snapshot",
    "Verified",
    "holds_index",
    "repair",
    "verify",
]
