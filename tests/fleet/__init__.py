"""A whole fleet, simulated: the real planner, the real strategies and the real brake on modelled nodes."""
