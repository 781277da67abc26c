"""`outrider …`: the command line. Tables and colour on a terminal, `--json` elsewhere."""
