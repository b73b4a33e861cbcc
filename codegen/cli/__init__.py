"""The subcommands of `thetac`, one module per group. They print and know no algorithm."""
