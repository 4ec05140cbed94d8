"""Views made by NVIDIA DALI, on a GPU or a CPU. docs/dali.md says what runs where and why.

executor.py  orders in, tensors out       lowering.py  steps -> what DALI's operators do
photos.py    read and decoded             drawing.py   pictures with lists of operations, kind by kind
station.py   the device                   moves.py layers.py values.py filters.py   one kind of operation each
loading.py   files in, batches for embedding out
"""

try:
    import nvidia.dali.experimental.dynamic  # noqa: F401
except ImportError as error:
    raise ImportError(
        "DALI is not installed; pip install 'asl-fast[dali]', or use the CPU executor"
    ) from error

from asl_fast.views.dali.executor import DaliExecutor
from asl_fast.views.dali.loading import DaliLoader

__all__ = ["DaliExecutor", "DaliLoader"]
