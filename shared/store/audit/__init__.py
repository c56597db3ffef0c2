"""What must hold of a run, checked against the rows themselves: nothing lost, nothing twice."""
