from phoenix_coordination.state_directory import final_record_path, installation_in


def test_the_installation_comes_from_the_uid_or_stays_with_the_directory(tmp_path):
    assert installation_in(tmp_path, "uid-1") != installation_in(tmp_path, "uid-2")
    assert installation_in(tmp_path / "a") == installation_in(tmp_path / "a")
    assert installation_in(tmp_path / "a") != installation_in(tmp_path / "b")


def test_makers_of_two_namespaces_leave_two_final_records(tmp_path):
    assert final_record_path(tmp_path, "a", "btc") != final_record_path(tmp_path, "b", "btc")
