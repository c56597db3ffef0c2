"""What every process needs: the method, the LM door, the store, the queue."""
