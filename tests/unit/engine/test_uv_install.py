"""Reading how far a download is from what uv prints."""

from tests.engine.uv_install import DownloadTally

OUTPUT = """\
Resolved 166 packages in 2.11s
   Building vllm @ file:///somewhere
Downloading torch (502.5MiB)
Downloading uvloop (512.0KiB)
 Downloaded uvloop
 Downloaded markupsafe
"""


def tally(output: str) -> tuple[int, int]:
    counted = DownloadTally()
    for line in output.splitlines():
        counted.read(line)
    return counted.finished, counted.announced


def test_only_finished_packages_count_as_downloaded() -> None:
    assert (512 * 1024, 512 * 1024 + 502.5 * 1024**2) == tally(OUTPUT)


def test_everything_is_downloaded_in_the_end() -> None:
    finished, announced = tally(OUTPUT + " Downloaded torch\n")
    assert announced == finished


def test_nothing_is_announced_when_all_is_cached() -> None:
    assert (0, 0) == tally("Resolved 166 packages in 2.11s\nInstalled 166 packages in 340ms\n")
