"""One module for each sort of page: from the address to what its template shows."""
