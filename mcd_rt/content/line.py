"""A line from the agent, read by a worker without a byte of what follows it."""

import socket


def read_line(connection: socket.socket, most: int) -> bytes:
    """What comes before the next newline, at most ``most`` bytes; what came so far where the agent says no more.

    Byte by byte: what follows a line may carry descriptors, which a read across its end would lose.
    """
    line = bytearray()
    while len(line) < most and (byte := connection.recv(1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)
