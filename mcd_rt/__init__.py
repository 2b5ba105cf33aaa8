"""mcd-rt: makes an image-based node run the kernel its MachineConfig asks for, and keeps it so."""

__version__ = "0.1.0"
