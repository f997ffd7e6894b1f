"""``python -m qnn.cli``: the ``qnn`` command where no script is installed."""

from qnn.cli.app import main

if __name__ == "__main__":
    main()
