"""What a job will need: figures measured before, and a run simulated with them."""
