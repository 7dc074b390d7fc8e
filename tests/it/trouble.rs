//! What a user is told, and what is left behind, when something goes wrong.

mod access;
mod faults;
mod leftovers;
mod machine;
mod region;

use alicloud_image_sandbox::{Effect, Fault, When};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Lab, Outcome};
use crate::web::web;

async fn build(lab: &Lab, template: &str) -> Outcome {
    lab.write("web.json", template)
        .run(&["build", "web.json"])
        .await
}

/// A build of `web` with these options in a quick lab.
async fn build_quickly(options: Value) -> (Lab, Outcome) {
    let lab = Lab::quick().await;
    let outcome = build(&lab, &web(options)).await;
    (lab, outcome)
}

fn refusal(http: u16, code: &str) -> Effect {
    Effect::Error {
        http,
        code: code.to_owned(),
        message: "The sandbox was told to say so.".to_owned(),
    }
}

fn fault(action: &str, when: When, effect: Effect) -> Fault {
    Fault {
        action: action.to_owned(),
        when,
        effect,
    }
}

// Templates that cannot be built: nothing is asked of the cloud.

#[tokio::test]
async fn a_template_that_is_not_there() {
    let lab = Lab::quick().await;
    let outcome = lab.run(&["build", "web.json"]).await.failure(2);
    assert_snapshot!(outcome.end(), @"
    Error: Cannot read template web.json: No such file or directory (os error 2)
    hint: DIR is empty; in a workflow, `actions/checkout` comes first
    ");
}

#[tokio::test]
async fn a_template_that_is_a_directory() {
    let lab = Lab::quick().await;
    std::fs::create_dir(lab.path("web")).unwrap();
    let outcome = lab.run(&["build", "web"]).await.failure(2);
    assert_snapshot!(outcome.end(), @"
    Error: There is no template in web
    hint: Files of an HCL2 template end in `.pkr.hcl`; name a JSON template by its file
    ");
}

#[tokio::test]
async fn a_template_that_is_not_text() {
    let lab = Lab::quick().await;
    std::fs::write(lab.path("web.json"), b"\x1f\x8b\x08\xff").unwrap();
    let outcome = lab.run(&["build", "web.json"]).await.failure(2);
    assert_snapshot!(outcome.end(), @"
    Error: Template web.json is not UTF-8 text: invalid utf-8 sequence of 1 bytes from index 1
    hint: Save it in the encoding UTF-8
    ");
}

#[tokio::test]
async fn a_template_with_a_missing_comma() {
    let lab = Lab::quick().await;
    let broken = web(json!({})).replace("\"web\",\n      \"region\"", "\"web\"\n      \"region\"");
    let outcome = build(&lab, &broken).await.failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.shown(), @r#"
    error: Invalid JSON: a comma is missing
     --> web.json:5:20
      |
    5 |       "name": "web"
      |                    ^
      |
      = help: Add a comma here

    Error: The template has 1 error
    ::error title=Template,file=web.json,line=5,col=20,endColumn=20::Invalid JSON: a comma is missing%0Ahelp: Add a comma here
    "#);
}

#[tokio::test]
async fn a_variable_without_value() {
    let lab = Lab::quick().await;
    let template = web(json!({"image_name": "web-{{user `version`}}"})).replacen(
        '{',
        "{\n  \"variables\": {\"version\": null},",
        1,
    );
    let outcome = build(&lab, &template).await.failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.shown(), @r#"
    error: Required variable `version` is not set
     --> web.json:2:17
      |
    2 |   "variables": {"version": null},
      |                 ^^^^^^^^^
      |
      = help: Pass it with `-var 'version=…'` or in a `-var-file`

    Error: The template has 1 error
    ::error title=Template,file=web.json,line=2,col=17,endColumn=26::Required variable `version` is not set%0Ahelp: Pass it with `-var 'version=…'` or in a `-var-file`
    "#);
}

#[tokio::test]
async fn an_option_of_the_wrong_type() {
    let (lab, outcome) = build_quickly(json!({"image_copy_regions": {"cn-hangzhou": true}})).await;
    let outcome = outcome.failure(2);
    assert_eq!(lab.sandbox.calls().len(), 0);
    assert_snapshot!(outcome.shown(), @r#"
    error: Option `image_copy_regions` of builder `web` must be a list of strings, but it is an object
      --> web.json:12:29
       |
    12 |       "image_copy_regions": {
       |                             ^ expected a list of strings

    Error: The template has 1 error
    ::error title=Template,file=web.json,line=12,col=29::Option `image_copy_regions` of builder `web` must be a list of strings, but it is an object
    "#);
}
