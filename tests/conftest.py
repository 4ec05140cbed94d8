"""What all tests share."""

from hypothesis import settings

# Speed is for benchmarks: a machine that is busy is no fault of the code.
settings.register_profile("asl_fast", deadline=None)
settings.load_profile("asl_fast")
