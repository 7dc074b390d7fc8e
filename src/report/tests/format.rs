//! The formats for programs: machine-readable lines, and JSON.

use super::*;

#[test]
fn machine_readable_is_packers() {
    let settings = Settings {
        format: Format::MachineReadable,
        ..Settings::default()
    };
    insta::assert_snapshot!(text(&settings, mixed_run), @r#"
    1800000000,,ui,say,==> web: Creating instance...
    1800000000,,ui,message,    web: Created instance: i-1
    1800000000,,ui,message,    web: installed
    1800000000,,ui,say,==> db: Warning: `io_optimized` has no effect
    1800000000,,ui,say,==> db: two\n==> db: lines
    1800000000,,ui,say,Build 'web' finished after 1 minute 2 seconds.
    1800000000,,ui,error,Build 'db' errored after 1 minute 2 seconds: Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing%!(PACKER_COMMA) HTTP 403%!(PACKER_COMMA) RequestId 4AFE)
    1800000000,,ui,error, --> images/web.json:4:22\n  |\n4 |     "instance_type": "ecs.g9.huge"\n  |                      ^^^^^^^^^^^^^\n
    1800000000,,ui,message,hint: Choose another `instance_type` or `zone_id`
    1800000000,,error-count,1
    1800000000,web,artifact-count,1
    1800000000,web,artifact,0,builder-id,alibaba.alicloud
    1800000000,web,artifact,0,id,cn-beijing:m-1%!(PACKER_COMMA)cn-hangzhou:m-2
    1800000000,web,artifact,0,string,Alicloud images were created:\n\ncn-beijing: m-1\ncn-hangzhou: m-2
    1800000000,web,artifact,0,files-count,0
    1800000000,web,artifact,0,end
    1800000000,db,error,Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing%!(PACKER_COMMA) HTTP 403%!(PACKER_COMMA) RequestId 4AFE)
    1800000000,,ui,say,\n==> Wait completed after 1 minute 2 seconds
    1800000000,,ui,error,\n==> Some builds didn't complete successfully and had errors:\n--> db: Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing%!(PACKER_COMMA) HTTP 403%!(PACKER_COMMA) RequestId 4AFE)
    1800000000,,ui,say,\n==> Builds finished. The artifacts of successful builds are:\n--> web: Alicloud images were created:\n\ncn-beijing: m-1\ncn-hangzhou: m-2
    1800000000,,ui,error,\n==> Some temporary resources were not deleted:\n--> vpc vpc-1 in cn-beijing: DependencyViolation\n    Delete them with: alicloud-image cleanup --run 0c9d
    1800000000,,ui,say,\n==> 1 resource left
    "#);
}

#[test]
fn scripts_find_the_image_id() {
    let settings = Settings {
        format: Format::MachineReadable,
        ..Settings::default()
    };
    let shown = text(&settings, |events| {
        start(events, &["web"]);
        let images = vec![image("web", "cn-beijing", "m-1")];
        finish(events, result(vec![build("web", images, None)], vec![]));
    });
    let line = shown
        .lines()
        .find(|line| line.contains("artifact,0,id"))
        .unwrap();
    let field = line.split(',').nth(5).unwrap();
    assert_eq!(field.split(':').nth(1), Some("m-1"));
}

#[test]
fn version_lines_are_packers() {
    let time = Timestamp::from_second(1_800_000_000).unwrap();
    assert_eq!(
        machine_readable::version(time, "0.1.0"),
        "1800000000,,version,0.1.0\n1800000000,,version-prelease,\n1800000000,,version-commit,\n"
    );
}

#[test]
fn json_has_one_object_per_event_and_text_goes_to_stderr() {
    let settings = Settings {
        format: Format::Json,
        ..Settings::default()
    };
    let (stdout, stderr) = shown(&settings, mixed_run);
    assert!(stderr.contains("==> web: Creating instance...\n"));
    insta::assert_snapshot!(stdout, @r#"
    {"time":"2027-01-15T08:00:00.000Z","type":"run_started","run_id":"0c9d","command":"build","builds":[{"name":"web","builder_type":"alicloud-ecs"},{"name":"db","builder_type":"alicloud-ecs"}],"journal":"/home/.alicloud-image/0c9d.journal","region":"cn-beijing","template_sha256":"8917a7aca9506cceba94c4af93c87d00f3aedfe7138c230a64da6acc2a14f465"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"say","text":"Creating instance..."}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"message","text":"Created instance: i-1"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"output","stream":"stdout","line":"installed\r"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"step_started","step":"Create VPC"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"resource_created","kind":"vpc","id":"vpc-1","region":"cn-beijing"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"step_finished","step":"Create VPC","elapsed_seconds":2.5,"resources":["vpc-1"],"succeeded":true}
    {"time":"2027-01-15T08:00:00.000Z","build":"db","type":"warning","text":"`io_optimized` has no effect"}
    {"time":"2027-01-15T08:00:00.000Z","build":"db","type":"say","text":"two\nlines"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"image_ready","image":{"build":"web","type":"alicloud-ecs","region":"cn-beijing","image_id":"m-1","image_name":"web-1","source_image":"aliyun_3.vhd","snapshot_ids":["s-m-1"],"size_gib":40,"created":"2027-01-15T08:00:00Z"}}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"image_ready","image":{"build":"web","type":"alicloud-ecs","region":"cn-hangzhou","image_id":"m-2","image_name":"web-1","source_image":"aliyun_3.vhd","snapshot_ids":["s-m-2"],"size_gib":40,"created":"2027-01-15T08:00:00Z"}}
    {"time":"2027-01-15T08:00:00.000Z","build":"db","type":"leftover","kind":"vpc","id":"vpc-1","region":"cn-beijing","reason":"DependencyViolation"}
    {"time":"2027-01-15T08:00:00.000Z","build":"web","type":"build_finished","name":"web","builder_type":"alicloud-ecs","elapsed_seconds":62.0,"artifacts":[{"builder_id":"alibaba.alicloud","id":"cn-beijing:m-1,cn-hangzhou:m-2","description":"Alicloud images were created:\n\ncn-beijing: m-1\ncn-hangzhou: m-2","files":[],"images":[{"build":"web","type":"alicloud-ecs","region":"cn-beijing","image_id":"m-1","image_name":"web-1","source_image":"aliyun_3.vhd","snapshot_ids":["s-m-1"],"size_gib":40,"created":"2027-01-15T08:00:00Z"},{"build":"web","type":"alicloud-ecs","region":"cn-hangzhou","image_id":"m-2","image_name":"web-1","source_image":"aliyun_3.vhd","snapshot_ids":["s-m-2"],"size_gib":40,"created":"2027-01-15T08:00:00Z"}]}],"error":null}
    {"time":"2027-01-15T08:00:00.000Z","build":"db","type":"build_finished","name":"db","builder_type":"alicloud-ecs","elapsed_seconds":62.0,"artifacts":[],"error":{"kind":"cloud","message":"Failed to create an instance in `cn-beijing`","chain":"Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)","hints":["Choose another `instance_type` or `zone_id`"],"place":{"file":"images/web.json","line":4,"column":22,"end_column":35},"api":{"action":"RunInstances","region":"cn-beijing","http_status":403,"code":"OperationDenied.NoStock","message":"The requested resource is sold out","request_id":"4AFE"}}}
    {"time":"2027-01-15T08:00:00.000Z","type":"run_finished","status":"partial","elapsed_seconds":62.039,"cancelled":false,"builds":[{"name":"web","builder_type":"alicloud-ecs","elapsed_seconds":62.0,"artifacts":[{"builder_id":"alibaba.alicloud","id":"cn-beijing:m-1,cn-hangzhou:m-2","description":"Alicloud images were created:\n\ncn-beijing: m-1\ncn-hangzhou: m-2","files":[],"images":[{"build":"web","type":"alicloud-ecs","region":"cn-beijing","image_id":"m-1","image_name":"web-1","source_image":"aliyun_3.vhd","snapshot_ids":["s-m-1"],"size_gib":40,"created":"2027-01-15T08:00:00Z"},{"build":"web","type":"alicloud-ecs","region":"cn-hangzhou","image_id":"m-2","image_name":"web-1","source_image":"aliyun_3.vhd","snapshot_ids":["s-m-2"],"size_gib":40,"created":"2027-01-15T08:00:00Z"}]}],"error":null},{"name":"db","builder_type":"alicloud-ecs","elapsed_seconds":62.0,"artifacts":[],"error":{"kind":"cloud","message":"Failed to create an instance in `cn-beijing`","chain":"Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)","hints":["Choose another `instance_type` or `zone_id`"],"place":{"file":"images/web.json","line":4,"column":22,"end_column":35},"api":{"action":"RunInstances","region":"cn-beijing","http_status":403,"code":"OperationDenied.NoStock","message":"The requested resource is sold out","request_id":"4AFE"}}}],"leftovers":[{"kind":"vpc","id":"vpc-1","region":"cn-beijing","reason":"DependencyViolation"}],"error":null}
    "#);
}

#[test]
fn json_keeps_what_a_machine_sent_but_secrets() {
    let settings = Settings {
        format: Format::Json,
        secrets: vec![Secret::new("hunter22")],
        ..Settings::default()
    };
    let (stdout, _) = shown(&settings, |events| {
        events.output(Stream::Stderr, "\u{1b}[1mhunter22\u{7}");
    });
    let line: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(line["line"], "\u{1b}[1m<sensitive>\u{7}");
    assert_eq!(line["stream"], "stderr");
}
