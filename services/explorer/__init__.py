"""Web pages to look at runs: they read the schema `lineage` and change nothing."""
