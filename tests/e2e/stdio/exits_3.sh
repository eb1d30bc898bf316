#!/bin/sh
# Not a server: it says why on stderr and ends with status 3.
echo "cannot open the database: no such file" >&2
exit 3
