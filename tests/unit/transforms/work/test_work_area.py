import pickle

from transforms.work.work_area import WorkArea


def test_what_travels_is_a_location_and_each_part_keeps_it(tmp_path):
    sent = WorkArea(str(tmp_path), "one", strict=True, version="the launcher's")
    work = pickle.loads(pickle.dumps(sent))  # noqa: S301
    assert work == sent
    parts = (work.plans, work.blocks, work.losses, work.notes, work.reporter)
    assert {part.folder for part in parts} == {str(tmp_path)}
    assert work.blocks.plans == work.plans
    assert (work.plans.launch, work.plans.version) == ("one", "the launcher's")
    assert (work.reporter.launch, work.reporter.strict) == ("one", True)
    for part in parts:
        assert len(pickle.dumps(part)) < 500 + 2 * len(str(tmp_path))
