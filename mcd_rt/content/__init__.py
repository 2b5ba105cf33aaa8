"""What is in the image: layouts, layers, RPMs, the worker that parses them and the cache."""
