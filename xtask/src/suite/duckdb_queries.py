"""Runs the queries of docs/duckdb.md on a recording and compares what comes out with what the page shows.

usage: duckdb_queries.py PAGE RECORDING [--write]
"""

import difflib
import os
import re
import shutil
import sys
import tempfile

import duckdb

# A block of SQL, and the output that the page shows for it, if it shows any.
BLOCK = re.compile(r"```sql\n(?P<query>.*?)```\n(?:\n```text\n(?P<shown>.*?)```\n)?", re.DOTALL)


def output(connection, query):
    """What a query prints, without blanks at the ends of lines."""
    relation = connection.sql(query)
    if relation is None:
        return ""
    return "".join(line.rstrip() + "\n" for line in str(relation).rstrip("\n").splitlines())


def main():
    page, recording = sys.argv[1:3]
    write = sys.argv[3:] == ["--write"]
    with open(page, encoding="utf-8") as file:
        text = file.read()
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    # The page calls the recording as a user would.
    scratch = tempfile.mkdtemp()
    recording = os.path.abspath(recording)
    page = os.path.abspath(page)
    os.chdir(scratch)
    os.symlink(recording, "tcp.jsonl")
    run = compared = 0
    failed = []
    renewed = text
    try:
        for block in BLOCK.finditer(text):
            query, shown = block["query"], block["shown"]
            try:
                printed = output(connection, query)
            except duckdb.Error as error:
                failed.append(f"{error}\n\n{query}")
                continue
            run += 1
            if shown is None:
                continue
            compared += 1
            if printed != shown:
                lines = difflib.unified_diff(shown.splitlines(), printed.splitlines(), "shown", "printed", lineterm="")
                failed.append(query + "\n".join(lines))
                renewed = renewed.replace(f"```text\n{shown}```", f"```text\n{printed}```", 1)
    finally:
        os.chdir("/")
        shutil.rmtree(scratch)
    if write:
        with open(page, "w", encoding="utf-8") as file:
            file.write(renewed)
        return
    for failure in failed:
        print(f"docs/duckdb.md is wrong:\n{failure}\n", file=sys.stderr)
    print(f"DuckDB {duckdb.__version__}: {run} statements run, {compared} outputs compared")
    if compared < 5:
        sys.exit("the page shows fewer than five queries with their output")
    sys.exit(1 if failed else 0)


main()
