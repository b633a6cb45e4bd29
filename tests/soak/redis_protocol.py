"""Redis' protocol (RESP2), as bytes."""

from collections.abc import Sequence

Words = Sequence[bytes]
NIL = b"$-1\r\n"
_BULK, _ARRAY = b"$*"


def array(*items: bytes | int) -> bytes:
    parts = [b"*%d\r\n" % len(items)]
    parts += [b":%d\r\n" % item if isinstance(item, int) else b"$%d\r\n%b\r\n" % (len(item), item) for item in items]
    return b"".join(parts)


def end_of_answer(data: bytes, at: int) -> int:
    """Behind the answer that begins there; -1 where it is not whole."""
    awaited = 1
    while awaited:
        end = data.find(b"\r\n", at)
        if end < 0:
            return -1
        kind = data[at]
        if kind == _BULK:
            size = int(data[at + 1 : end])
            end += size + 2 if size >= 0 else 0
        elif kind == _ARRAY:
            awaited += max(0, int(data[at + 1 : end]))
        at = end + 2
        awaited -= 1
    return at if at <= len(data) else -1


def array_of(answer: bytes, length: int = 0) -> list[bytes]:
    """Its members' bytes; nil for those that it lacks of `length`: Lua leaves out what is nil in the end."""
    at = answer.index(b"\r\n") + 2
    members = []
    for _ in range(int(answer[1 : at - 2])):
        end = end_of_answer(answer, at)
        members.append(answer[at:end])
        at = end
    return members + [NIL] * (length - len(members))


def text_of(answer: bytes) -> bytes:
    return answer[answer.index(b"\r\n") + 2 : -2]


def take_command(buffer: bytearray) -> list[bytes] | None:
    """The first whole command, taken out of the buffer."""
    end = buffer.find(b"\r\n")
    if end < 0:
        return None
    at = end + 2
    words: list[bytes] = []
    for _ in range(int(buffer[1:end])):
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        begin = end + 2
        at = begin + int(buffer[at + 1 : end]) + 2
        if len(buffer) < at:
            return None
        words.append(bytes(buffer[begin : at - 2]))
    del buffer[:at]
    return words
