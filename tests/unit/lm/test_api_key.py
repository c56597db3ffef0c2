from shared.lm.api_key import ApiKey


def test_a_server_may_want_no_key() -> None:
    assert ApiKey.from_environment(None, {}) == ApiKey("")


def test_white_space_around_a_key_goes() -> None:
    assert ApiKey.from_environment("LM_KEY", {"LM_KEY": " s3cret\n"}).value == "s3cret"


def test_a_missing_key_is_a_fault_that_names_the_variable() -> None:
    for environ in ({}, {"LM_KEY": " "}):
        key = ApiKey.from_environment("LM_KEY", environ)
        assert key.fault is not None
        assert "LM_KEY" in key.fault


def test_a_key_that_no_header_can_hold_is_a_fault_that_does_not_show_it() -> None:
    key = ApiKey.from_environment("LM_KEY", {"LM_KEY": "s3\ncret"})
    assert key.fault is not None
    assert "cret" not in key.fault


def test_a_key_does_not_show() -> None:
    key = ApiKey("s3cret")
    assert "s3cret" not in repr(key)
    assert key.hide("Bearer s3cret is wrong") == "Bearer *** is wrong"
    assert ApiKey().hide("nothing to hide") == "nothing to hide"
