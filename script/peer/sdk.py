"""The official SDKs call the sandbox: the old core with RPC signatures
(HMAC-SHA1), Tea with ACS3-HMAC-SHA256. Usage: sdk.py URL, with
ALICLOUD_ACCESS_KEY and ALICLOUD_SECRET_KEY set."""

import json
import os
import sys
import time

from alibabacloud_tea_openapi import models
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_util.models import RuntimeOptions
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest

HOST = sys.argv[1].removeprefix("http://")
KEY, SECRET = os.environ["ALICLOUD_ACCESS_KEY"], os.environ["ALICLOUD_SECRET_KEY"]
REGION = "cn-beijing"
ECS, VPC = "2014-05-26", "2016-04-28"


def rpc(version, action, query):
    client = AcsClient(KEY, SECRET, REGION)
    request = CommonRequest(domain=HOST, version=version, action_name=action)
    request.set_method("POST")
    for name, value in query.items():
        request.add_query_param(name, value)
    return json.loads(client.do_action_with_exception(request))


def acs3(version, action, query):
    config = models.Config(access_key_id=KEY, access_key_secret=SECRET, endpoint=HOST, protocol="HTTP")
    params = models.Params(
        action=action, version=version, protocol="HTTP", method="POST", auth_type="AK",
        style="RPC", pathname="/", req_body_type="json", body_type="json",
    )
    request = models.OpenApiRequest(query=query)
    return Client(config).call_api(params, request, RuntimeOptions())["body"]


def available(call, vpc):
    answer = call(VPC, "DescribeVpcs", {"RegionId": REGION, "VpcId": vpc})
    return answer["Vpcs"]["Vpc"][0]["Status"] == "Available"


for call in (rpc, acs3):
    regions = call(ECS, "DescribeRegions", {})["Regions"]["Region"]
    assert REGION in [region["RegionId"] for region in regions], regions
    vpc = call(VPC, "CreateVpc", {"RegionId": REGION, "VpcName": "peer / ü~*"})["VpcId"]
    while not available(call, vpc):
        time.sleep(0.1)
    call(VPC, "DeleteVpc", {"RegionId": REGION, "VpcId": vpc})
    print(f"{call.__name__}: DescribeRegions, CreateVpc, DescribeVpcs, DeleteVpc")
