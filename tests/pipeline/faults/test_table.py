from tests.pipeline.faults.table import BEGIN, END, FAULTS, PAGE, table


def test_the_page_lists_what_the_tests_inject():
    rows = table()
    assert len(FAULTS) >= 40
    page = PAGE.read_text()
    assert page.split(BEGIN)[1].split(END)[0].strip() == rows
