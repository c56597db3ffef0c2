"""What the schema `lineage` tells: a login that may read nothing else will do for all that these modules ask."""
