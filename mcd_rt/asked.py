"""What people ask of the running agent: taken between two passes, answered once the next one has settled."""

import asyncio
from collections.abc import Callable

from mcd_rt.agent import allow_retry
from mcd_rt.control import Reply, Verb
from mcd_rt.errors import AgentError
from mcd_rt.frozen import frozen
from mcd_rt.model.state import State
from mcd_rt.observation import Context

_UNHAPPY = (State.BLOCKED, State.RETRYING, State.HELD)


@frozen
class Question:
    """One request, and where its answer goes."""

    verb: Verb
    seconds: float | None
    answer: asyncio.Future[Reply]


class Asked:
    """The questions nobody has answered yet; ``wake`` is called when there is one, and whether it is urgent."""

    def __init__(self, wake: Callable[[bool], None]) -> None:
        """Nobody has asked yet."""
        self._wake = wake
        self._new: list[Question] = []
        self._due: list[tuple[Question, str]] = []
        self.reboot_now = False

    async def answer(self, verb: Verb, seconds: float | None) -> Reply:
        """Take a question for the pass that begins next, and wait for what comes of it."""
        question = Question(verb, seconds, asyncio.get_running_loop().create_future())
        self._new.append(question)
        self._wake(verb in (Verb.HOLD, Verb.RESUME))
        return await question.answer

    def take(self, context: Context) -> None:
        """Before a pass: do what was said to the record, and remember who waits for the pass."""
        questions, self._new = self._new, []
        for question in questions:
            try:
                said = _apply(context, question)
            except AgentError as error:
                _give(question, Reply(ok=False, text=str(error.failure)))
            else:
                self._due.append((question, said))
                self.reboot_now = self.reboot_now or question.verb is Verb.REBOOT

    def settle(self, context: Context) -> None:
        """After a pass that came to rest: everybody whose question it answers hears it."""
        due, self._due, self.reboot_now = self._due, [], False
        for question, said in due:
            _give(question, _reply(context, question.verb, said))

    async def settle_at_the_end(self, context: Context) -> None:
        """A reboot that somebody asked for often stops us before its pass is over: it is their answer."""
        if context.reporter.status.state is State.REBOOTING:
            self._due += [(question, "") for question in self._new]
            self._new = []
            self.settle(context)
            await asyncio.sleep(0)  # the turn of the loop in which the answers are written


def _apply(context: Context, question: Question) -> str:
    match question.verb:
        case Verb.RETRY:
            allow_retry(context)
        case Verb.HOLD:
            from mcd_rt.holding import set_hold  # noqa: PLC0415 - an idle agent never needs it

            return set_hold(context, question.seconds)
        case Verb.RESUME:
            from mcd_rt.holding import end_hold  # noqa: PLC0415 - the same

            return end_hold(context)
        case Verb.APPLY | Verb.REBOOT:
            pass
    return ""


def _reply(context: Context, verb: Verb, said: str) -> Reply:
    status = context.reporter.status
    sentence = f"{status.state}: {status.failure or status.summary}"
    match verb:
        case Verb.HOLD | Verb.RESUME:
            return Reply(ok=bool(said), text=f"{said or 'too late'}\n{sentence}")
        case Verb.REBOOT:
            return Reply(ok=status.state is State.REBOOTING, text=sentence)
        case Verb.APPLY | Verb.RETRY:
            return Reply(ok=status.state not in _UNHAPPY, text=sentence)


def _give(question: Question, reply: Reply) -> None:
    if not question.answer.done():  # whoever asked may have gone
        question.answer.set_result(reply)
