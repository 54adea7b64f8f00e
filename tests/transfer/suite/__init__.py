"""What can go wrong while a file is fetched, as a table: see `case` for what a row says, `test_suite` for the test.

line        the connection: cuts, stalls, trickles
answers     what a server answers: statuses, waits, ranges, expired addresses, headers
contents    what the bytes are: lengths, codings, flipped bytes, pages, changed files, hashes
places      whom we may ask: gated and missing things, redirects, tokens, names
disk        the folder: full, read-only, gone; what became of a partial file; clocks, processes, threads
sources     a second source takes over
"""
