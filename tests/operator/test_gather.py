"""What a plan is given of a resource, from the store and the fleet."""

import pytest
from phoenix_operator.census import Census
from phoenix_operator.cluster.store import Store
from phoenix_operator.fleet import Fleet
from phoenix_operator.gather import Memory, account_facts, maker_facts


@pytest.fixture
def fleet(census: Census) -> Fleet:
    return Fleet("", census, 0.5, lambda _: None)


def test_a_maker_that_does_not_validate_any_more_is_its_accounts_as_before(put_maker, put_account, store: Store, fleet):
    census = fleet._census
    put_account("main")
    put_maker("btc", spec={"accountRef": "main", "symbol": "BTCUSDT"})
    wrong = {"accountRef": "main", "symbol": "BTCUSDT", "netMax": "0.1", "baseSize": "0.10000000000000000001"}
    put_maker("btc", spec=wrong, meta={"generation": 2})
    found = maker_facts(census.maker(("trading", "btc")), Memory(), store, census, fleet, 0)
    assert found.maker.spec is None
    assert found.account is census.account(("trading", "main"))
    assert account_facts(found.account, Memory(), census, fleet, 0).makers == ("btc",)
