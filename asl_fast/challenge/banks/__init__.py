"""Banks of edits that copies are made with: families at three strengths, and light edits.

bank.py    what a bank is, and which there are       drawing.py  parameters drawn, families put together
own.py     asl_fast's own edits                      augly.py    AugLy's, as augly_edits.py does them
"""

from asl_fast.challenge.banks.bank import BANKS, FAMILIES, STRENGTHS, Bank, bank_named, told

__all__ = ["BANKS", "Bank", "FAMILIES", "STRENGTHS", "bank_named", "told"]
