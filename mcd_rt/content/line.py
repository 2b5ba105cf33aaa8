"""A worker's end of the socket: a line from the agent, without a byte of what follows it, and frames to the agent."""

import socket

from mcd_rt.content import frames
from mcd_rt.content.frames import ChunkFrame, Frame


def read_line(connection: socket.socket, most: int) -> bytes:
    """What comes before the next newline, at most ``most`` bytes; what came so far where the agent says no more.

    Byte by byte: what follows a line may carry descriptors, which a read across its end would lose.
    """
    line = bytearray()
    while len(line) < most and (byte := connection.recv(1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)


def send_frame(connection: socket.socket, frame: Frame) -> None:
    """Send a frame; waits until the agent has taken enough of it."""
    connection.sendall(frames.encode(frame))


def send_chunk(connection: socket.socket, chunk: bytes) -> None:
    """Send the next bytes of a file, announced; waits as ``send_frame``."""
    send_frame(connection, ChunkFrame(len(chunk)))
    connection.sendall(chunk)
