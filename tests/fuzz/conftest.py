"""What became of all mutations, at the end of the tests."""

from tests.fuzz.counts import COUNTS


def pytest_terminal_summary(terminalreporter):
    if not COUNTS:
        return
    terminalreporter.write_sep("-", "mutations")
    for target, outcomes in COUNTS.items():
        told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
        terminalreporter.write_line(f"{target}: {sum(outcomes.values())} ({told})")
    total = sum(sum(outcomes.values()) for outcomes in COUNTS.values())
    terminalreporter.write_line(f"result: mutations={total}")
