"""`python -m mnist_drill`: the same command as `mnist-drill`."""

from mnist_drill.cli import main

if __name__ == "__main__":
    main()
