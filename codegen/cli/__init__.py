"""What the `thetac` command does, one module per group of subcommands. Prints; knows no algorithm."""
