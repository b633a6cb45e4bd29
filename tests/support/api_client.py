"""REST to a real API server as one user: what was answered is data, whatever it is."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

SECONDS = 30.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
YAML = "application/yaml"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body`: an object, or the Status that says why not."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        """What the server says where it refuses."""
        return str(self.body.get("message", ""))

    def expect(self) -> dict[str, Any]:
        """The object; fails the test with the server's words where it was refused."""
        assert self.ok, f"{self.status}: {self.message or self.body}"
        return self.body


class ApiClient:
    """One connection, made anew where it broke. Not for several threads."""

    def __init__(self, host: str, port: int, authority: Path, certificate: Path, key: Path) -> None:
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(certificate, key)
        self._address = (host, port)
        self._connection: http.client.HTTPSConnection | None = None

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **query: str
    ) -> Answer:
        """`body`: an object, or text or bytes as they are. Raises OSError where nobody answers."""
        payload = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        where = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if payload is not None else {})
        encoded = payload.encode() if isinstance(payload, str) else payload
        try:
            return self._answer(method, where, encoded, headers)
        except (http.client.HTTPException, ConnectionError, ssl.SSLEOFError):
            self.close()  # the server closed what was idle, or was away
            return self._answer(method, where, encoded, headers)

    def _answer(self, method: str, where: str, payload: bytes | None, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(*self._address, timeout=SECONDS, context=self._context)
        self._connection.request(method, where, payload, headers)
        response = self._connection.getresponse()
        content = response.read()
        try:
            told = json.loads(content or b"{}")
        except ValueError:
            told = {"message": content.decode(errors="replace")}
        return Answer(response.status, told if isinstance(told, dict) else {"items": told})

    # The verbs of tests, by path such as /api/v1/namespaces/x/configmaps/y.

    def get(self, path: str, **query: str) -> Answer:
        return self.request("GET", path, **query)

    def create(self, path: str, body: object, **query: str) -> Answer:
        return self.request("POST", path, body, **query)

    def apply(self, path: str, body: object, manager: str, **query: str) -> Answer:
        """Server-side; `force="true"` takes fields over."""
        return self.request("PATCH", path, body, APPLY, fieldManager=manager, **query)

    def merge(self, path: str, body: object, **query: str) -> Answer:
        return self.request("PATCH", path, body, MERGE, **query)

    def delete(self, path: str, **query: str) -> Answer:
        return self.request("DELETE", path, **query)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
