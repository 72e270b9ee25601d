"""`alphapanda` and `python -m alphapanda`."""

from alphapanda.cli.app import main

if __name__ == "__main__":
    main()
