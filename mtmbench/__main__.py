"""``python -m mtmbench`` is the command ``mtmbench``."""

from mtmbench.cli.app import main

if __name__ == "__main__":
    main()
