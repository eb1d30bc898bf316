"""The suites of `scripts/bench`. Each is a function that takes a `Run` and returns a list of `Row`."""
