"""What hosts on this machine leave when they end."""

import pytest

from deploy.one_machine import hosts


def test_temporary_files_go_with_the_hosts_and_logs_stay(tmp_path):
    if lack := hosts.missing():
        pytest.skip(lack)
    with hosts.Network(tmp_path) as network:
        head = network.add("head")
        process = head.start("touch", ["sh", "-c", "echo text > file && echo done"])
        process.wait_for("done", 30)
        assert (head.folder / "file").read_text() == "text\n"
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [
        "logs/head-touch.log"
    ]
    assert not head.folder.exists()
