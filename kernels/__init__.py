"""One operation, one folder: the contract and its checks in __init__.py, the formula in reference.py."""
