"""What the node has: host facts and deployments."""
