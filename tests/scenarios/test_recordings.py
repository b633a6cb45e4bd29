"""A whole demo, run by its command, and its flight recordings, replayed by theirs: exact, or said why not."""

import asyncio
import os
import re
import sys
import zlib

import msgspec
import pytest
from phoenix_worker.core.events import Lease, Tick
from phoenix_worker.runtime.recording import LENGTH_BYTES, MAGIC, Frame, SegmentReader, segments_of

DEMO_WITHIN_S = 90.0
REPLAYED_WITHIN_S = 60.0
RUN = ("--for", "15s", "--symbols", "BTCUSDT,ETHUSDC", "--seed", "7", "--fault", "gap@4s", "--fault", "disconnect@7s")


async def phoenix(*arguments, within_s):
    """Exit status, standard output and standard error of one command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "phoenix_cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    async with asyncio.timeout(within_s):
        out, err = await process.communicate()
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """The flight recordings of one demo, a directory for each worker."""
    directory = tmp_path_factory.mktemp("demo")
    status, out, err = asyncio.run(
        phoenix("demo", *RUN, "--plain", "--state-dir", str(directory), within_s=DEMO_WITHIN_S)
    )
    assert status == 0, out + err
    return sorted((directory / "state" / "recordings").glob("*/*"))


@pytest.fixture
def recording(recordings, tmp_path):
    """A copy of one of them whose worker came to lead, to be spoilt."""
    segments = [segment for recording in recordings for segment in segments_of(recording)]
    segment = next(segment for segment in segments if any(map(_leads, SegmentReader(segment).frames())))
    copy = tmp_path / segment.parent.name / segment.name
    copy.parent.mkdir()
    copy.write_bytes(segment.read_bytes())
    return copy


def _leads(frame):
    return isinstance(frame.event, Lease)


def rewrite(segment, change):
    """The segment with its frames changed, everything else being in order."""
    reader = SegmentReader(segment)
    data = segment.read_bytes()
    head_at = len(MAGIC) + LENGTH_BYTES
    head_end = head_at + int.from_bytes(data[len(MAGIC) : head_at], "big")
    stream = zlib.compressobj()
    body = b""
    for frame in change(list(reader.frames())):
        encoded = msgspec.msgpack.encode(frame)
        body += stream.compress(len(encoded).to_bytes(LENGTH_BYTES, "big") + encoded)
    segment.write_bytes(data[:head_end] + body + stream.flush())


async def test_every_recording_of_a_demo_replays_byte_for_byte(recordings):
    assert len(recordings) == 2
    for recording in recordings:
        status, out, err = await phoenix("replay", str(recording), within_s=REPLAYED_WITHIN_S)
        assert (status, err) == (0, ""), out
        assert "every decision is the same" in out
        assert "note:" not in out


async def test_a_rewritten_recording_is_the_same_as_long_as_nothing_is_changed(recording):
    rewrite(recording, lambda frames: frames)
    status, out, _ = await phoenix("replay", str(recording.parent), within_s=REPLAYED_WITHIN_S)
    assert status == 0, out
    assert "note:" not in out


def without_an_action(frames):
    at = next(number for number, frame in enumerate(frames) if frame.actions)
    return [*frames[:at], Frame(frames[at].event, b""), *frames[at + 1 :]]


def with_an_action_too_many(frames):
    acting = next(frame.actions for frame in frames if frame.actions)
    at = next(number for number, frame in enumerate(frames) if isinstance(frame.event, Tick) and not frame.actions)
    return [*frames[:at], Frame(frames[at].event, acting), *frames[at + 1 :]]


def without_an_event(frames):
    at = next(number for number, frame in enumerate(frames) if _leads(frame))
    return [*frames[:at], *frames[at + 1 :]]


@pytest.mark.parametrize("tampered", [without_an_action, with_an_action_too_many, without_an_event])
async def test_a_tampered_recording_ends_with_1_and_says_where_it_began(recording, tampered):
    rewrite(recording, tampered)
    status, out, _ = await phoenix("replay", str(recording.parent), within_s=REPLAYED_WITHIN_S)
    assert status == 1
    assert "decided otherwise" in out
    assert recording.name in out


async def test_a_recording_cut_in_half_is_replayed_to_the_cut_which_is_said(recording):
    data = recording.read_bytes()
    recording.write_bytes(data[: len(data) // 2])
    status, out, _ = await phoenix("replay", str(recording.parent), within_s=REPLAYED_WITHIN_S)
    assert status == 0
    assert "every decision is the same" in out
    assert "note:" in out
    assert "cut" in out or "has no end" in out


async def test_damage_is_never_silent_and_what_stands_before_it_is_compared(recording):
    """Where the garbage happens to decode, it is an event that cannot be read, or one that is decided otherwise."""
    data = bytearray(recording.read_bytes())
    middle = (len(data) + SegmentReader(recording)._body_at) // 2
    data[middle : middle + 64] = bytes(64)
    recording.write_bytes(bytes(data))
    status, out, err = await phoenix("replay", str(recording.parent), within_s=REPLAYED_WITHIN_S)
    assert re.search(r": [1-9]\d* events", out), err
    assert "note:" in out or (status == 1 and "decided otherwise" in out)


async def test_what_is_no_recording_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "00000000.phx").write_text("nothing")
    status, out, err = await phoenix("replay", str(tmp_path), within_s=REPLAYED_WITHIN_S)
    assert (status, out) == (1, "")
    assert "is no recording of an engine" in err
