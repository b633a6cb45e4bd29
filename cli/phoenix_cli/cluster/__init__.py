"""What a command sees of a cluster: the resources, and what the operator says in their status."""
