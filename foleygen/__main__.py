"""``python -m foleygen``."""

from foleygen.cli.app import main

if __name__ == "__main__":
    main()
