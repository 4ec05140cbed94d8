"""`python -m asl_fast VERB ...`."""

from asl_fast.cli import main

raise SystemExit(main())
