"""SUBSCRIBE and its kin: each request with its reply, each mistake with its code."""

import json

import pytest
from phoenix_simulator.api.control_protocol import Command, ControlError, Method, parse


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"method": "SUBSCRIBE", "params": ["a", "b"], "id": 1}, Command(Method.SUBSCRIBE, 1, ("a", "b"))),
        ({"method": "SUBSCRIBE", "params": [], "id": "uuid"}, Command(Method.SUBSCRIBE, "uuid")),
        ({"method": "UNSUBSCRIBE", "params": ["a"], "id": None}, Command(Method.UNSUBSCRIBE, None, ("a",))),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 3}, Command(Method.LIST_SUBSCRIPTIONS, 3)),
        ({"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}, Command(Method.SET_PROPERTY, 5, (), True)),
        ({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}, Command(Method.GET_PROPERTY, 2)),
    ],
    ids=lambda case: case["method"] if isinstance(case, dict) else "",
)
def test_a_command_is_understood(message, command):
    assert parse(json.dumps(message)) == command


@pytest.mark.parametrize(
    ("text", "code", "fatal"),
    [
        pytest.param("no json", 3, True, id="no JSON"),
        pytest.param("", 3, True, id="nothing"),
        pytest.param("[]", 2, False, id="no object"),
        pytest.param('{"method":"SUBSCRIBE","params":["a"]}', 2, False, id="no id"),
        pytest.param('{"method":"SUBSCRIBE","params":["a"],"id":1.5}', 2, False, id="id of a wrong type"),
        pytest.param('{"method":"SUBSCRIBE","params":["a"],"id":true}', 2, False, id="id that is a boolean"),
        pytest.param('{"params":["a"],"id":1}', 2, False, id="no method"),
        pytest.param('{"method":"JOIN","params":["a"],"id":1}', 2, False, id="unknown method"),
        pytest.param('{"method":5,"params":["a"],"id":1}', 2, False, id="method that is no text"),
        pytest.param('{"method":"SUBSCRIBE","id":1}', 2, False, id="no params"),
        pytest.param('{"method":"SUBSCRIBE","params":"a","id":1}', 2, False, id="params that are no array"),
        pytest.param('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, False, id="names that are no text"),
        pytest.param('{"method":"SET_PROPERTY","params":["split",true],"id":1}', 0, False, id="unknown property"),
        pytest.param('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1, False, id="no boolean"),
        pytest.param('{"method":"GET_PROPERTY","params":["split"],"id":1}', 0, False, id="asks an unknown property"),
    ],
)
def test_a_mistake_has_its_code(text, code, fatal):
    with pytest.raises(ControlError) as caught:
        parse(text)
    assert (caught.value.code, caught.value.fatal) == (code, fatal)
    assert json.loads(caught.value.reply())["error"]["code"] == code
