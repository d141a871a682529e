"""Bucket policies about encryption and bucket encryption over real stores."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid

import pytest
from botocore.exceptions import ClientError

from tests.proxies import s3_client

MODE = "s3:x-amz-server-side-encryption"
SSE_S3 = {"ServerSideEncryption": "AES256"}
AES256 = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


@pytest.fixture
def s3(any_proxy):
    return any_proxy.client()


@pytest.fixture
def bucket(any_proxy, s3):
    name = f"policies-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    # A policy of the store's own would be in the way of tests that follow.
    with contextlib.suppress(ClientError):
        any_proxy.raw_client().delete_bucket_policy(Bucket=name)


def statement(bucket, effect="Deny", condition=None, **changes):
    return {
        "Effect": effect,
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": condition or {"Null": {MODE: "true"}},
        **changes,
    }


def reads(bucket):
    made = statement(bucket, "Allow", Action="s3:GetObject")
    return {name: value for name, value in made.items() if name != "Condition"}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_a_policy_that_asks_for_a_header(any_proxy, s3, bucket):
    raw = any_proxy.raw_client()
    both = document(statement(bucket), reads(bucket))
    for text, at_store in (
        (document(statement(bucket)), None),
        (both, [reads(bucket)]),
        (document(statement(bucket)), None),
        (both, [reads(bucket)]),
    ):
        s3.put_bucket_policy(Bucket=bucket, Policy=text)
        assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
        if at_store is None:
            assert code_of(raw.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
        else:
            stored = json.loads(raw.get_bucket_policy(Bucket=bucket)["Policy"])
            assert len(stored["Statement"]) == 1
            assert MODE not in json.dumps(stored)
        assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x") == "AccessDenied"
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", **SSE_S3)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    s3.delete_bucket_policy(Bucket=bucket)
    assert code_of(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_a_policy_put_past_the_proxy_is_shown_and_reported(any_proxy, s3, bucket, tmp_path):
    store, raw = any_proxy.store, any_proxy.raw_client()
    raw.put_bucket_policy(Bucket=bucket, Policy=document(statement(bucket, Sid="past-the-proxy")))
    assert "past-the-proxy" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
    environ = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    done = subprocess.run(
        [sys.executable, "-m", "sseproxy.cli", "check-store", "--store", store.endpoint],
        cwd=tmp_path,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"bucket {bucket}: its policy at the store would refuse writes" in done.stderr
    assert "past-the-proxy" in done.stderr


def test_bucket_encryption(any_proxy, s3, bucket):
    store = any_proxy.store
    admin = s3_client(any_proxy.endpoint, store.access_key, store.secret_key, any_proxy.ca_file)
    rules = {"Rules": [{**AES256, "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}]}
    setting = {"Bucket": bucket, "ServerSideEncryptionConfiguration": rules}
    assert code_of(s3.put_bucket_encryption, **setting) == "AccessDenied"
    admin.put_bucket_encryption(**setting)
    (shown,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert shown == {**rules["Rules"][0], "BucketKeyEnabled": False}
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    blocked = code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **customer)
    assert blocked == "AccessDenied"
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert any_proxy.raw_get(bucket, "k") != b"x"
    for _ in range(2):
        admin.delete_bucket_encryption(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **customer)
