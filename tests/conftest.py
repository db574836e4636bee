"""What every test may use."""

import os
import random

SEED = "TRIVIUM_TEST_SEED"


def pytest_configure(config):
    """Draws the seed of this run's random fixtures; the workers of a parallel run inherit it."""
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(2**32)))


def pytest_report_header(config):
    return f"random fixtures: {SEED}={os.environ[SEED]}"


def pytest_addoption(parser):
    parser.addoption(
        "--accept",
        action="store_true",
        help="rewrite the expected output that lies beside its example",
    )
