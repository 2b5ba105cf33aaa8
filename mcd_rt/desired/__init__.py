"""What the node config asks for: reading and parsing MachineConfigs."""
