"""What a view shows of one record; that it follows its store is in test_views."""

from __future__ import annotations

from cstore.showing import shown


def test_a_record_keeps_what_is_unknown_of_it() -> None:
    record = b'{"id":"' + b"1" * 64 + b'", "names":["a/b:1","c/d:1"],"x-new": {"z": 1.50},"created":"0001-01-01T00:00:00Z"}'
    assert shown(record, ("*",)) == record
    assert shown(record, ("c/*",)) == record.replace(b'"a/b:1",', b"").replace(b', "names"', b',"names"').replace(b": {", b":{")
    assert shown(record, ("x",)) is None
    assert shown(None, ("*",)) is None
