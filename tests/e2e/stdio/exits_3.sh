#!/bin/sh
# Not a server: prints an error to stderr and exits with 3.
echo "cannot open the database: no such file" >&2
exit 3
