"""What every test may use."""


def pytest_addoption(parser):
    parser.addoption(
        "--accept",
        action="store_true",
        help="rewrite the expected output that lies beside its example",
    )
