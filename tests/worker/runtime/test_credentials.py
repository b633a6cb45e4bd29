import pickle
from contextlib import suppress

import pytest
from Crypto.PublicKey import ECC
from phoenix_worker.runtime.credentials import CredentialsError, MountedKey, read_key
from phoenix_worker.runtime.redaction import Redactor
from private_keys import ed25519_pair

PEM, _ = ed25519_pair()


def write(directory, **files):
    for name, text in files.items():
        (directory / name).write_text(text)


def test_an_hmac_key_is_read_without_the_line_end_that_editors_leave(tmp_path):
    write(tmp_path, apiKey="the-key\n", apiSecret="  the-secret \n")
    key = read_key(tmp_path)
    assert (key.api_key, key.api_secret, key.private_key) == ("the-key", "the-secret", None)


def test_of_an_ed25519_key_the_private_half_is_read_and_a_public_one_beside_it_is_nobody_s_business(tmp_path):
    private, public = ed25519_pair()
    write(tmp_path, apiKey="the-key\n", privateKey=f"\n{private}\n", publicKey=public)
    key = read_key(tmp_path)
    assert (key.api_key, key.api_secret) == ("the-key", "")
    assert key.private_key is not None
    assert key.private_key.seed == ECC.import_key(private).seed


def test_an_empty_file_is_no_second_kind(tmp_path):
    write(tmp_path, apiKey="the-key", apiSecret="the-secret", privateKey="\n")
    assert read_key(tmp_path).api_secret == "the-secret"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({}, r"apiKey and apiSecret \(or privateKey\) missing", id="nothing"),
        pytest.param({"apiKey": "k"}, r"apiSecret \(or privateKey\) missing", id="no secret"),
        pytest.param({"apiSecret": "s"}, "apiKey missing", id="no key"),
        pytest.param({"apiKey": " \n", "apiSecret": "s"}, "apiKey missing or empty", id="an empty file"),
        pytest.param({"privateKey": PEM}, ": apiKey missing", id="a private key alone"),
        pytest.param(
            {"apiKey": "k", "apiSecret": "s", "privateKey": PEM},
            "holds both apiSecret .* and privateKey",
            id="two kinds",
        ),
        pytest.param({"apiKey": "k", "privateKey": "two words"}, "privateKey: is no PEM", id="no private key"),
        pytest.param({"apiKey": "k", "privateKey": PEM * 200}, "privateKey: is no key", id="a library"),
        pytest.param({"apiKey": "k", "privateKey": "schlüssel"}, "privateKey: is no text: write it as PEM", id="bytes"),
        pytest.param({"apiKey": "k", "apiSecret": "two words"}, "apiSecret: is no key", id="not a key"),
        pytest.param({"apiKey": "k" * 20_000, "apiSecret": "s"}, "apiKey: is no key", id="a book"),
        pytest.param({"apiKey": "schlüssel", "apiSecret": "s"}, "apiKey: is no text", id="not ASCII"),
    ],
)
def test_what_is_missing_or_unusable_is_named_but_never_shown(tmp_path, files, says):
    write(tmp_path, **files)
    with pytest.raises(CredentialsError, match=says) as refused:
        read_key(tmp_path)
    told = str(refused.value)
    assert "two words" not in told
    assert PEM.splitlines()[1] not in told
    assert Redactor()(told) == told, "nothing in the sentence looks like a secret"


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "apiKey").mkdir()
    with pytest.raises(CredentialsError, match="apiKey cannot be read: ") as refused:
        read_key(tmp_path)
    assert Redactor()(str(refused.value)) == str(refused.value)


def test_a_key_is_neither_shown_nor_copied_out(tmp_path):
    write(tmp_path, apiKey="the-key", apiSecret="the-secret")
    key = read_key(tmp_path)
    assert "the-" not in f"{key!r} {key} {[key]}"
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(key)


def test_of_either_kind_nothing_can_be_told_once_it_is_read(tmp_path):
    redact = Redactor()
    write(tmp_path, apiKey="the-key", privateKey=PEM)
    MountedKey(tmp_path, redact).read()
    body = PEM.splitlines()[1]
    assert redact(f"the-key {body} {PEM}") == "[hidden] [hidden] [hidden]"


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        pytest.param({}, {"apiKeys": "x"}, True, id="a Secret that comes under another name"),
        pytest.param({"apiKey": "k"}, {"apiSecret": "s"}, True, id="what was missing"),
        pytest.param({"apiKey": "k"}, {"privateKey": PEM}, True, id="what was missing, of the other kind"),
        pytest.param({"apiKey": "k", "apiSecret": "s"}, {"privateKey": PEM}, True, id="a second kind"),
        pytest.param({"apiKey": "k", "privateKey": PEM}, {"privateKey": f"{PEM}\n"}, True, id="a private key anew"),
        pytest.param({"apiKey": "k", "privateKey": PEM}, {"publicKey": "x"}, False, id="something beside a whole pair"),
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
