"""The benchmark's bookkeeping: medians, ratios, merging with earlier runs, the table. Nothing here reads a clock."""

import json

import pytest

from benchmarks import beside_drunet, unrolled
from benchmarks.measure import median_seconds, peak_mib
from benchmarks.report import direction_entry, merged, read_json, table, with_table, write_whole
from benchmarks.workloads import reason_to_skip


def results(**workloads):
    return {
        "machine": {"cpu": "Abacus", "cores": 2, "memory_gib": 23.4},
        "versions": {"wellposed": {"python": "3.11.7"}},
        "threads": 2,
        "workloads": workloads,
    }


def workload(**directions):
    return {"date": "2026-01-31", "rounds": 3, "directions": directions}


def test_entry_is_the_median_of_the_rounds_and_the_ratio_of_the_medians():
    entry = direction_entry(ours=[0.02, 0.01, 0.09], peer=[0.08, 0.06, 0.07], peak_mib=5.0)
    assert entry["seconds"] == 0.02
    assert entry["seconds_range"] == [0.01, 0.09]
    assert entry["peer_seconds"] == 0.07
    assert entry["peer_seconds_range"] == [0.06, 0.08]
    assert entry["ratio"] == pytest.approx(3.5)


def test_entry_without_a_peer_claims_no_ratio():
    """A new time of ours must not be divided into an old time of the peer's."""
    assert set(direction_entry([0.02], [], None)) == {"seconds", "seconds_range", "peak_mib"}


def test_merging_keeps_the_workloads_that_were_not_run_and_replaces_the_others():
    old, new = workload(forward=direction_entry([2.0], [4.0], 1.0)), workload(forward=direction_entry([1.0], [], 1.0))
    earlier = results(blur=old, mri=old) | {"versions": {"peer": {"deepinv": "0.5.0"}}}
    after = merged(earlier, results(blur=new, a=new))
    assert after["workloads"] == {"a": new, "blur": new, "mri": old}
    assert list(after["workloads"]) == ["a", "blur", "mri"]
    assert after["versions"] == {"peer": {"deepinv": "0.5.0"}, "wellposed": {"python": "3.11.7"}}
    assert earlier["workloads"] == {"blur": old, "mri": old}


def test_table_shows_times_in_milliseconds_with_their_spread():
    rows = table(results(blur=workload(adjoint=direction_entry([0.002, 0.001, 0.004], [0.009], 12.3)))).splitlines()
    assert rows[2] == (
        "| `blur` | adjoint | 2.00 ms (1.00 to 4.00) | 9.00 ms (9.00 to 9.00) | 4.50 | 12 MiB | 2026-01-31 |"
    )
    assert "Abacus, 2 cores, 23 GiB, 2 threads" in rows[-1]


def test_errors_stand_beside_the_direction():
    entry = direction_entry([0.002], [], None) | {"error": 5.9e-7, "peer_error": 1.2e-3}
    assert "| forward, error 5.9e-07, the peer's 1.2e-03 |" in table(results(nufft=workload(forward=entry)))
    assert "| forward |" in table(results(nufft=workload(forward=direction_entry([0.002], [], None))))


def test_table_says_why_a_workload_was_skipped():
    skipped = workload() | {"skipped": "the processor has no bfloat16 instructions"}
    rows = table(results(ram_bfloat16=skipped)).splitlines()
    assert rows[2] == (
        "| `ram_bfloat16` | skipped: the processor has no bfloat16 instructions |  |  |  |  | 2026-01-31 |"
    )


def test_half_precision_is_timed_only_where_the_processor_has_it():
    assert "no bfloat16" in reason_to_skip("ram_denoise_256_bfloat16", ["avx512f", "avx512_vnni"])
    for flag in ("avx512_bf16", "amx_bf16"):
        assert reason_to_skip("ram_denoise_256_bfloat16", ["avx512f", flag]) is None
    assert reason_to_skip("ram_denoise_256", []) is None


def test_table_leaves_empty_what_was_not_measured():
    rows = table(results(tv=workload(forward=direction_entry([0.5], [], None)))).splitlines()
    assert rows[2] == "| `tv` | forward | 500.00 ms (500.00 to 500.00) |  |  |  | 2026-01-31 |"


def test_table_replaces_only_what_is_between_the_markers():
    page = "before\n<!-- benchmark-table -->\nold\n<!-- /benchmark-table -->\nafter\n"
    once = with_table(page, "benchmark-table", "new")
    assert once == "before\n<!-- benchmark-table -->\nnew\n<!-- /benchmark-table -->\nafter\n"
    assert with_table(once, "benchmark-table", "new") == once


@pytest.mark.parametrize("page", ["", "<!-- benchmark-table -->", "<!-- /benchmark-table --><!-- benchmark-table -->"])
def test_page_without_markers_is_refused(page):
    with pytest.raises(ValueError, match="markers"):
        with_table(page, "benchmark-table", "new")


def test_results_survive_a_round_trip_and_a_missing_file_is_empty(tmp_path):
    path = tmp_path / "results.json"
    assert read_json(path) == {}
    write_whole(path, json.dumps(results(a=workload())))
    assert read_json(path) == results(a=workload())


def test_timing_warms_up_once_and_then_calls_as_often_as_asked():
    calls = []
    assert median_seconds(lambda: calls.append(None), repeat=3) > 0
    assert len(calls) == 4


def test_peak_memory_is_what_one_call_holds_at_its_highest():
    """Two blocks that live one after the other count once; two that live together count twice."""
    megabytes = 64
    block = b"x" * 2**20

    def one_after_the_other():
        for _ in range(2):
            bytearray(block * megabytes)

    alone = peak_mib(lambda: block * megabytes)
    if alone is None:
        pytest.skip("the system does not let a process reset its peak memory")
    assert alone == pytest.approx(megabytes, abs=8)
    assert peak_mib(one_after_the_other) == pytest.approx(2 * megabytes, abs=8)


def test_the_table_of_unrolled_networks_has_a_row_for_what_is_kept():
    rows = {"store": {2: (10.4, 0.123), 4: (20.0, 1.0), 8: (40.0, 2.0), 16: (80.0, 4.0)}}
    assert unrolled.table(rows).splitlines() == [
        "| memory | 2 steps | 4 steps | 8 steps | 16 steps |",
        "| --- | ---: | ---: | ---: | ---: |",
        '| `"store"` | 10 MiB | 20 MiB | 40 MiB | 80 MiB |',
    ]


def test_ratios_are_of_calls_in_turns_after_one_of_each(monkeypatch):
    order, seconds = [], {"one": iter([6.0, 3.0, 4.0]), "other": iter([2.0, 2.0, 1.0])}
    monkeypatch.setattr(beside_drunet, "_seconds", lambda call: next(seconds[call()]))

    def called(name):
        def call():
            order.append(name)
            return name

        return call

    assert beside_drunet.ratios(called("one"), called("other"), 3) == [1.5, 3.0, 4.0]
    assert order == ["one", "other"] * 4
    assert beside_drunet.table({"sr4": [1.5, 3.0, 4.0]}).splitlines()[-1] == "| `ram_sr4_256` | 3.00 (1.50 to 4.00) |"
