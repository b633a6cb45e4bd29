import pickle
from contextlib import suppress

import pytest
from phoenix_worker.runtime.credentials import CredentialsError, MountedKey, read_key
from phoenix_worker.runtime.redaction import Redactor


def write(directory, **files):
    for name, text in files.items():
        (directory / name).write_text(text)


def test_an_hmac_key_is_read_without_the_line_end_that_editors_leave(tmp_path):
    write(tmp_path, apiKey="the-key\n", apiSecret="  the-secret \n")
    key = read_key(tmp_path)
    assert (key.api_key, key.api_secret) == ("the-key", "the-secret")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({}, "apiKey and apiSecret missing", id="nothing"),
        pytest.param({"apiKey": "k"}, "apiSecret missing", id="no secret"),
        pytest.param({"apiSecret": "s"}, "apiKey missing", id="no key"),
        pytest.param({"apiKey": " \n", "apiSecret": "s"}, "apiKey missing or empty", id="an empty file"),
        pytest.param({"apiKey": "k", "privateKey": "two words"}, "create an HMAC key", id="a kind that cannot sign"),
        pytest.param({"apiKey": "k", "apiSecret": "two words"}, "apiSecret: is no key", id="not a key"),
        pytest.param({"apiKey": "k" * 20_000, "apiSecret": "s"}, "apiKey: is no key", id="a book"),
        pytest.param({"apiKey": "schlüssel", "apiSecret": "s"}, "apiKey: is no text", id="not ASCII"),
    ],
)
def test_what_is_missing_or_unusable_is_named_but_never_shown(tmp_path, files, says):
    write(tmp_path, **files)
    with pytest.raises(CredentialsError, match=says) as refused:
        read_key(tmp_path)
    assert "two words" not in str(refused.value)


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "apiKey").mkdir()
    with pytest.raises(CredentialsError, match="apiKey: cannot be read"):
        read_key(tmp_path)


def test_a_key_is_neither_shown_nor_copied_out(tmp_path):
    write(tmp_path, apiKey="the-key", apiSecret="the-secret")
    key = read_key(tmp_path)
    assert "the-" not in f"{key!r} {key} {[key]}"
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(key)


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        pytest.param({}, {"apiKeys": "x"}, True, id="a Secret that comes under another name"),
        pytest.param({"apiKey": "k"}, {"apiSecret": "s"}, True, id="what was missing"),
        pytest.param({"apiKey": "k", "apiSecret": "s"}, {"notes": "x"}, False, id="something beside a whole key"),
    ],
)
def test_a_key_has_changed_where_what_people_are_told_of_it_would(tmp_path, before, after, news):
    write(tmp_path, **before)
    mounted = MountedKey(tmp_path, Redactor())
    with suppress(CredentialsError):
        mounted.read()
    assert not mounted.changed
    write(tmp_path, **after)
    assert mounted.changed is news
