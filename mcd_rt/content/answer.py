"""The answer of a worker about an image: frames in their order, talk about progress taken out and counted."""

from collections.abc import Callable

from mcd_rt.content.conversation import Conversation
from mcd_rt.content.frames import DoneFrame, Frame, ImageFrame, ProgressFrame
from mcd_rt.errors import AgentError, Code

# A worker says progress once a MiB at most: more than this is not talk but noise.
_MAX_PROGRESS_FRAMES = 1 << 16


class Answer:
    """What a worker says after a request, in order; ``image`` is the image it found, once ``begin`` returned."""

    def __init__(self, talk: Conversation, on_progress: Callable[[int, int], None]) -> None:
        """``on_progress`` is told bytes read and bytes in all; what it raises ends the answer."""
        self._talk = talk
        self._on_progress = on_progress
        self._progress_frames = 0

    async def begin(self) -> ImageFrame:
        """Which image it is; raises ``AgentError`` as ``Conversation.receive``."""
        if not isinstance(frame := await self.next(), ImageFrame):
            raise lie(f"sent {type(frame).__name__} before it said which image it found")
        return frame

    async def next(self) -> Frame:
        """The next frame that is not progress; raises ``AgentError`` as ``Conversation.receive``."""
        while isinstance(frame := await self._talk.receive(), ProgressFrame):
            self._progress_frames += 1
            if self._progress_frames > _MAX_PROGRESS_FRAMES:
                raise lie(f"said its progress more than {_MAX_PROGRESS_FRAMES} times")
            self._on_progress(frame.done, frame.total)
        return frame

    async def bytes(self, size: int) -> bytes:
        """Exactly so many raw bytes; raises ``AgentError`` as ``Conversation.receive``."""
        return await self._talk.receive_bytes(size)

    async def end(self) -> None:
        """Nothing may follow but the end."""
        if not isinstance(frame := await self.next(), DoneFrame):
            raise lie(f"sent {type(frame).__name__} where the end was due")


def lie(what: str) -> AgentError:
    """``worker-failed``, as a sentence."""
    return AgentError(Code.WORKER_FAILED, f"the worker {what}", "nothing of its answer was used")
