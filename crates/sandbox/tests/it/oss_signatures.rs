//! OSS signatures against published and SDK-made examples.

use std::collections::BTreeMap;

use alicloud_image_sandbox::oss::signature::{
    OssAuthorization, OssRequest, v1_signature, v1_string_to_sign, v4_canonical_request,
    v4_signature, v4_string_to_sign,
};
use serde_json::Value;

use crate::signatures::vectors;

/// A request of an example, as it arrives.
struct Arrived {
    method: String,
    bucket: Option<String>,
    key: Option<String>,
    query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
}

impl Arrived {
    fn of(vector: &Value, headers: &Value) -> Self {
        let text = |name: &str| vector[name].as_str().map(str::to_owned);
        let lower = |(name, value): (&String, &Value)| {
            (
                name.to_ascii_lowercase(),
                value.as_str().unwrap().to_owned(),
            )
        };
        let pairs = vector["params"].as_array().unwrap().iter();
        let pair = |pair: &Value| {
            let text = |index: usize| pair[index].as_str().unwrap().to_owned();
            (text(0), text(1))
        };
        let mut arrived = Self {
            method: text("method").unwrap(),
            bucket: text("bucket"),
            key: text("key"),
            query: pairs.map(pair).collect(),
            headers: headers.as_object().unwrap().iter().map(lower).collect(),
        };
        if let Some(added) = vector["query_added"].as_object() {
            let added = added.iter();
            arrived
                .query
                .extend(added.map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned())));
        }
        arrived
    }

    fn header(&mut self, name: &str, value: &Value) {
        if let Some(value) = value.as_str() {
            self.headers.insert(name.to_owned(), value.to_owned());
        }
    }

    fn authorization(&self) -> OssAuthorization {
        OssAuthorization::of(&self.headers, &self.query)
            .unwrap()
            .unwrap()
    }

    fn request(&self) -> OssRequest<'_> {
        OssRequest {
            method: &self.method,
            bucket: self.bucket.as_deref(),
            key: self.key.as_deref(),
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn check_v1(&self, vector: &Value) {
        let OssAuthorization::V1 {
            date, signature, ..
        } = self.authorization()
        else {
            panic!("{}", vector["name"]);
        };
        let string = v1_string_to_sign(&self.request(), &date);
        assert_eq!(
            string,
            vector["string_to_sign"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
        let secret = vector["access_key_secret"].as_str().unwrap();
        assert_eq!(
            v1_signature(secret, &string),
            signature,
            "{}",
            vector["name"]
        );
        assert_eq!(signature, vector["signature"].as_str().unwrap());
    }

    fn check_v4(&self, vector: &Value) {
        let OssAuthorization::V4 {
            scope,
            time,
            additional,
            signature,
            ..
        } = self.authorization()
        else {
            panic!("{}", vector["name"]);
        };
        let canonical = v4_canonical_request(&self.request(), &additional);
        assert_eq!(
            canonical,
            vector["canonical_request"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
        let string = v4_string_to_sign(&time, &scope, &canonical);
        assert_eq!(
            string,
            vector["string_to_sign"].as_str().unwrap(),
            "{}",
            vector["name"]
        );
        let secret = vector["access_key_secret"].as_str().unwrap();
        assert_eq!(
            v4_signature(secret, &scope, &string),
            signature,
            "{}",
            vector["name"]
        );
        assert_eq!(signature, vector["signature"].as_str().unwrap());
    }
}

#[test]
fn v1_header_examples_are_reproduced() {
    let vectors = vectors("oss_v1_header");
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let mut arrived = Arrived::of(&vector, &vector["headers"]);
        arrived.header("date", &vector["date"]);
        arrived.header("authorization", &vector["authorization"]);
        arrived.check_v1(&vector);
    }
}

#[test]
fn v1_query_examples_are_reproduced() {
    let vectors = vectors("oss_v1_query");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        Arrived::of(&vector, &Value::Object(Default::default())).check_v1(&vector);
    }
}

#[test]
fn v4_header_examples_are_reproduced() {
    let vectors = vectors("oss_v4_header");
    assert_eq!(vectors.len(), 17);
    for vector in vectors {
        let mut arrived = Arrived::of(&vector, &vector["headers_before"]);
        arrived.header("x-oss-date", &vector["timestamp"]);
        arrived.header("x-oss-content-sha256", &Value::from("UNSIGNED-PAYLOAD"));
        arrived.header("x-oss-security-token", &vector["security_token"]);
        arrived.header("authorization", &vector["authorization"]);
        arrived.check_v4(&vector);
    }
}

#[test]
fn v4_query_examples_are_reproduced() {
    let vectors = vectors("oss_v4_query");
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        Arrived::of(&vector, &vector["headers"]).check_v4(&vector);
    }
}

#[test]
fn both_spellings_of_the_header_are_one() {
    let spellings = [
        "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,AdditionalHeaders=abc;zabc,Signature=4a",
        "OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request, Signature=4a, AdditionalHeaders=ABC;zabc",
    ];
    let parse = |header: &str| {
        let headers = BTreeMap::from([("authorization".to_owned(), header.to_owned())]);
        OssAuthorization::of(&headers, &[]).unwrap().unwrap()
    };
    assert_eq!(parse(spellings[0]), parse(spellings[1]));
}
