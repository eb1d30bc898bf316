"""What `scripts/bench` measures: each suite is a module with `measure(run) -> list[Row]`."""
