"""The official SDKs against the sandbox: oss2 and alibabacloud-oss-v2.

Usage: oss.py HOST:PORT ACCESS_KEY SECRET_KEY
"""
import os
import sys
import tempfile
import uuid

import alibabacloud_oss_v2 as v2
import oss2

ADDRESS, ACCESS_KEY, SECRET_KEY = sys.argv[1:4]
ENDPOINT = f"http://{ADDRESS}"
REGION = "cn-hangzhou"
CONTENT = os.urandom(1 << 20) + bytes(2 << 20)
KEY = "dir/镜像 a+b~(1).raw"


def expect(code, call):
    """Runs a call that has to fail with a code of OSS."""
    try:
        call()
    except oss2.exceptions.OssError as error:
        found = error.code
    except v2.exceptions.OperationError as error:
        found = error.unwrap().code
    else:
        found = "OK"
    assert found == code, f"expected {code}, got {found}"


def old_sdk(auth, name):
    bucket = oss2.Bucket(auth, ENDPOINT, name, region=REGION)
    bucket.create_bucket(oss2.BUCKET_ACL_PRIVATE)
    info = bucket.get_bucket_info()
    assert (info.name, info.location) == (name, f"oss-{REGION}"), vars(info)
    listed = oss2.Service(auth, ENDPOINT, region=REGION).list_buckets(prefix=name)
    assert [one.name for one in listed.buckets] == [name]

    bucket.put_object(KEY, CONTENT, headers={"x-oss-tagging": "a=b"})
    assert bucket.get_object(KEY).read() == CONTENT
    assert bucket.get_object(KEY, byte_range=(5, 9)).read() == CONTENT[5:10]
    assert bucket.head_object(KEY).content_length == len(CONTENT)
    assert [one.key for one in oss2.ObjectIterator(bucket)] == [KEY]
    assert bucket.get_object_tagging(KEY).tag_set.tagging_rule == {"a": "b"}

    with tempfile.NamedTemporaryFile() as file:
        file.write(CONTENT)
        file.flush()
        oss2.resumable_upload(
            bucket, "parts.raw", file.name,
            store=oss2.ResumableStore(root=tempfile.mkdtemp()),
            multipart_threshold=200 << 10, part_size=300 << 10, num_threads=4)
    with tempfile.TemporaryDirectory() as directory:
        target = os.path.join(directory, "out")
        oss2.resumable_download(
            bucket, "parts.raw", target, store=oss2.ResumableDownloadStore(root=directory),
            multiget_threshold=1 << 20, part_size=1 << 20, num_threads=3)
        assert open(target, "rb").read() == CONTENT

    upload = bucket.init_multipart_upload("aborted").upload_id
    bucket.upload_part("aborted", upload, 1, b"x" * 1000)
    bucket.upload_part("aborted", upload, 2, b"y" * 1000)
    parts = bucket.list_parts("aborted", upload).parts
    assert [(one.part_number, one.size) for one in parts] == [(1, 1000), (2, 1000)]
    expect("EntityTooSmall", lambda: bucket.complete_multipart_upload("aborted", upload, parts))
    assert [one.upload_id for one in oss2.MultipartUploadIterator(bucket)] == [upload]
    bucket.abort_multipart_upload("aborted", upload)
    expect("NoSuchUpload", lambda: bucket.list_parts("aborted", upload))

    expect("NoSuchKey", lambda: bucket.get_object("none"))
    expect("BucketNotEmpty", bucket.delete_bucket)
    for one in [KEY, "parts.raw"]:
        bucket.delete_object(one)
    bucket.delete_bucket()
    expect("NoSuchBucket", bucket.get_bucket_info)


def new_sdk(name):
    config = v2.config.load_default()
    config.credentials_provider = v2.credentials.StaticCredentialsProvider(ACCESS_KEY, SECRET_KEY)
    config.region = REGION
    config.endpoint = ENDPOINT
    client = v2.Client(config)
    client.put_bucket(v2.PutBucketRequest(
        bucket=name, acl="private",
        create_bucket_configuration=v2.CreateBucketConfiguration(storage_class="IA")))
    info = client.get_bucket_info(v2.GetBucketInfoRequest(bucket=name)).bucket_info
    assert (info.location, info.storage_class) == (f"oss-{REGION}", "IA")
    assert client.get_bucket_location(
        v2.GetBucketLocationRequest(bucket=name)).location == f"oss-{REGION}"

    with tempfile.NamedTemporaryFile() as file:
        file.write(CONTENT)
        file.flush()
        client.uploader(part_size=400 << 10, parallel_num=3).upload_file(
            v2.PutObjectRequest(bucket=name, key=KEY), filepath=file.name)
    answer = client.get_object(v2.GetObjectRequest(bucket=name, key=KEY))
    assert answer.body.read() == CONTENT
    head = client.head_object(v2.HeadObjectRequest(bucket=name, key=KEY))
    assert (head.content_length, head.storage_class, head.object_type) == (
        len(CONTENT), "IA", "Multipart")
    client.put_object(v2.PutObjectRequest(
        bucket=name, key="small", body=b"hello", server_side_encryption="AES256",
        tagging="a=b&c=d", forbid_overwrite=True))
    expect("FileAlreadyExists", lambda: client.put_object(v2.PutObjectRequest(
        bucket=name, key="small", body=b"hello", forbid_overwrite=True)))
    pages = client.list_objects_v2_paginator(limit=1)
    keys = [one.key for page in pages.iter_page(v2.ListObjectsV2Request(bucket=name))
            for one in page.contents]
    assert keys == sorted([KEY, "small"]), keys
    expect("NoSuchKey", lambda: client.head_object(v2.HeadObjectRequest(bucket=name, key="none")))
    for one in keys:
        client.delete_object(v2.DeleteObjectRequest(bucket=name, key=one))
    client.delete_bucket(v2.DeleteBucketRequest(bucket=name))


def main():
    for version, auth in [("V1", oss2.Auth), ("V4", oss2.AuthV4)]:
        old_sdk(auth(ACCESS_KEY, SECRET_KEY), f"peer-{uuid.uuid4().hex[:12]}")
        print(f"oss2 {oss2.__version__}, signature {version}: passed")
    expect("SignatureDoesNotMatch", lambda: oss2.Service(
        oss2.AuthV4(ACCESS_KEY, "wrong"), ENDPOINT, region=REGION).list_buckets())
    new_sdk(f"peer-{uuid.uuid4().hex[:12]}")
    print(f"alibabacloud-oss-v2 {v2.__version__}: passed")


main()
