"""Which errors of a place stop a build, and which are an item's own."""

import errno
import os
import pickle
import re

import pytest

from stages.storage import UnknownStore, Unreachable, Unwritable, filesystem, reaching, writing

# as pyarrow 26 words them
REFUSED = (
    "When getting information for key 'x/a' in bucket 'logs': AWS Error NETWORK_CONNECTION during HeadObject "
    "operation: curlCode: 7, Could not connect to server; Details: Failed to connect to 127.0.0.1:9 after 0 ms"
)
DENIED = "When reading 'x/a': AWS Error ACCESS_DENIED during GetObject operation: Access Denied (Request ID: 5dXR9)"
MISSING = "Path does not exist 'logs/x/a'. Detail: [errno 2] No such file or directory"
CORRUPT = "Couldn't deserialize thrift: TProtocolException: Invalid data"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (REFUSED, "AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 7, Could not connect to server"),
        (DENIED, "AWS Error ACCESS_DENIED during GetObject operation: Access Denied"),
    ],
)
def test_a_store_that_does_not_answer_is_no_items_fault(words, told):
    with pytest.raises(Unreachable) as caught, reaching("s3://logs/x/a"):
        raise OSError(words)
    assert str(caught.value) == (
        f"s3://logs/x/a cannot be used: {told}; look at network, credentials and bucket, then run this again"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # it comes back from a worker


@pytest.mark.parametrize(
    ("uri", "words"), [("s3://logs/x/a", MISSING), ("s3://logs/x/a", CORRUPT), ("/logs/x/a", REFUSED)]
)
def test_other_errors_pass_as_they_are(uri, words):
    error = OSError(words)
    with pytest.raises(OSError, match=re.escape(words)), writing(uri):
        raise error


@pytest.mark.parametrize(
    ("code", "cure"),
    [(errno.ENOSPC, "make room"), (errno.EDQUOT, "make room"), (errno.EROFS, "make it writable")],
)
def test_a_place_without_room_says_what_to_do(code, cure):
    with pytest.raises(Unwritable) as caught, writing("/corpus/a"):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == f"/corpus/a cannot be written: {os.strerror(code)}; {cure}, then run this again"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_uri_of_an_unknown_kind_is_told():
    with pytest.raises(UnknownStore, match=r"ftp://logs: no storage of this kind is known; a path, s3:// or gs://"):
        filesystem("ftp://logs")
