"""What became of all mutations, at the end of the tests."""


def pytest_terminal_summary(terminalreporter):
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    found = [
        value
        for report in reports
        for key, value in getattr(report, "user_properties", ())
        if key == "mutations"
    ]
    if not found:
        return
    terminalreporter.write_sep("-", "mutations")
    for target, outcomes in found:
        told = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
        terminalreporter.write_line(f"{target}: {sum(outcomes.values())} ({told})")
    total = sum(sum(outcomes.values()) for _, outcomes in found)
    terminalreporter.write_line(f"result: mutations={total}")
