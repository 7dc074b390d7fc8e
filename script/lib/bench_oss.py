"""oss2 against the sandbox, for script/bench disk: see bench_oss.sh."""

import os
import sys
import tempfile

import oss2

REGION = "cn-hangzhou"

url, verb, *arguments = sys.argv[1:]
auth = oss2.Auth(os.environ["ALICLOUD_ACCESS_KEY"], os.environ["ALICLOUD_SECRET_KEY"])
bucket = oss2.Bucket(auth, url.rstrip("/"), "bench", region=REGION)
if verb == "bucket":
    bucket.create_bucket(oss2.BUCKET_ACL_PRIVATE)
elif verb == "put":
    file, key = arguments
    with tempfile.TemporaryDirectory() as directory:
        oss2.resumable_upload(
            bucket, key, file, store=oss2.ResumableStore(root=directory), num_threads=4)
    bucket.delete_object(key)
elif verb == "get":
    bucket.get_object_to_file(*arguments)
elif verb == "delete":
    bucket.delete_object(*arguments)
