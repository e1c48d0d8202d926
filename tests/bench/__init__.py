"""The benchmark behind ``make bench``: what a request costs the server and the database, in CPU time."""
