"""The API server: what is asked of it, what it has told, and what its refusals mean. No decision is made here."""
