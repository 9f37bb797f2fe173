"""`python -m wellposed`: the same as the command `wellposed`."""

from wellposed.cli.main import main

if __name__ == "__main__":
    main()
