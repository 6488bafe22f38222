"""A stage whose work is another: what a build does when a worker fails on purpose."""


def with_room(stage, room):
    """`pipeline.run._execute` as it is, over another room; Ray takes it along by value."""

    def run(unit, context):
        import pipeline.rooms as there
        from pipeline.run import _execute

        original = there.rooms
        there.rooms = lambda: {**original(), stage: room}
        try:
            return _execute(unit, context)
        finally:
            there.rooms = original

    return run
