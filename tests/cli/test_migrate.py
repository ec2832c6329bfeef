"""`telemetry migrate`: the place of the migrator, until it is there."""


def test_it_says_that_it_is_to_come(telemetry, tmp_path):
    """And touches nothing."""
    done = telemetry("migrate", "--source", "json_store/panoptes", "--dest", "telemetry/migrated")

    assert (1, "") == (done.code, done.out)
    assert "nothing was written" in done.err
    assert [] == list(tmp_path.iterdir())


def test_both_places_are_needed(telemetry):
    """Each missing one is a usage error."""
    assert 2 == telemetry("migrate", "--source", "a").code
    assert 2 == telemetry("migrate", "--dest", "a").code
