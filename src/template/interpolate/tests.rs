//! Tables of the language and its functions.

use super::*;

fn user() -> BTreeMap<String, String> {
    [("region", "cn-beijing"), ("empty", ""), ("a b", "x,y,z")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn fields() -> BTreeMap<String, String> {
    [("Vars", "A='1'"), ("Path", "/tmp/x.sh")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn context<'a>(
    user: &'a BTreeMap<String, String>,
    fields: &'a BTreeMap<String, String>,
) -> Context<'a> {
    let start = "2024-02-03T04:05:06Z".parse().unwrap();
    Context {
        fields,
        ..Context::new(user, "/templates", "/work", start).for_build("web", "alicloud-ecs")
    }
}

fn rendered(text: &str) -> Result<String, InterpolateError> {
    let (user, fields) = (user(), fields());
    render(text, &context(&user, &fields))
}

#[track_caller]
fn check_table(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(rendered(text).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn packer_functions() {
    check_table(&[
        ("", ""),
        ("plain } text {", "plain } text {"),
        ("{{user `region`}}", "cn-beijing"),
        ("{{ user \"region\" }}-x", "cn-beijing-x"),
        ("{{user `undeclared`}}", ""),
        ("{{timestamp}}", "1706933106"),
        ("{{isotime}}", "2024-02-03T04:05:06Z"),
        ("{{isotime `20060102-1504`}}", "20240203-0405"),
        ("{{isotime \"2006-01-02\"}}", "2024-02-03"),
        ("{{strftime `%Y%m%d`}}", "20240203"),
        ("{{build_name}}/{{build_type}}", "web/alicloud-ecs"),
        ("{{template_dir}} {{pwd}}", "/templates /work"),
        ("{{packer_version}}", crate::template::PACKER_VERSION),
        ("{{lower `ABC`}}{{upper `abc`}}", "abcABC"),
        ("{{split `a-b-c` `-` 1}}", "b"),
        ("{{split (user `a b`) `,` 2}}", "z"),
        ("{{split `abc` `` 1}}", "b"),
        ("{{replace \"a\" \"o\" 1 \"banana\"}}", "bonana"),
        ("{{replace \"a\" \"o\" -1 \"banana\"}}", "bonono"),
        ("{{replace_all `a` `o` `banana`}}", "bonono"),
        (
            "{{user `region` | replace_all `-` `_` | upper}}",
            "CN_BEIJING",
        ),
        ("{{clean_resource_name `a b/ü:1`}}", "a-b-ü:1"),
        ("{{.Vars}} sh '{{ .Path }}'", "A='1' sh '/tmp/x.sh'"),
        ("{{`{{.Literal}}`}}", "{{.Literal}}"),
    ]);
}

#[test]
fn control_flow_and_variables() {
    check_table(&[
        ("{{if eq build_name `web`}}yes{{else}}no{{end}}", "yes"),
        ("{{if eq build_name `a` `web`}}yes{{end}}", "yes"),
        (
            "{{if user `empty`}}1{{else if user `region`}}2{{else}}3{{end}}",
            "2",
        ),
        ("{{if false}}1{{else if false}}2{{else}}3{{end}}", "3"),
        ("{{with user `region`}}<{{.}}>{{end}}", "<cn-beijing>"),
        ("{{with user `empty`}}x{{else}}none{{end}}", "none"),
        ("{{with user `empty`}}x{{else with `b`}}{{.}}{{end}}", "b"),
        ("{{range $i, $e := 3}}{{$i}}{{end}}", "012"),
        ("{{range 3}}{{.}}{{if eq . 1}}{{break}}{{end}}{{end}}", "01"),
        (
            "{{range 3}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}",
            "02",
        ),
        ("{{range 0}}x{{else}}empty{{end}}", "empty"),
        (
            "{{range $k, $v := .}}{{$k}}={{$v}};{{end}}",
            "Path=/tmp/x.sh;Vars=A='1';",
        ),
        ("{{$x := `a`}}{{$x}}{{$x = `b`}}{{$x}}", "ab"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{with `inner`}}{{$.Path}}{{end}}", "/tmp/x.sh"),
        ("a {{- ` b ` -}} c", "a b c"),
        ("a {{- /* comment */ -}} c", "ac"),
        ("a {{/* comment */}} c", "a  c"),
        ("{{ `}}` }}", "}}"),
    ]);
}

#[test]
fn builtin_functions() {
    check_table(&[
        ("{{and `a` ``}}|{{or `` `b`}}|{{and 1 2}}", "|b|2"),
        ("{{or `a` (split `x` `-` 9)}}", "a"),
        (
            "{{not true}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt `b` `a`}} {{ge 1.5 2.5}}",
            "false true true true true false",
        ),
        ("{{len `häh`}}", "4"),
        (
            "{{index `abc` 1}} {{slice `abcdef` 1 3}} {{slice `abc` 1}}",
            "98 bc bc",
        ),
        ("{{print 1 2 `a` `b` 3}}", "1 2ab3"),
        ("{{println `a` 1}}", "a 1\n"),
        (
            "{{printf `%s-%03d|%5s|%-4d|%q|%v` `a` 7 `b` 3 `c\"` true}}",
            "a-007|    b|3   |\"c\\\"\"|true",
        ),
        (
            "{{printf `%x %X %#x %o %b %c %U %%` 255 255 255 8 5 65 65}}",
            "ff FF 0xff 10 101 A U+0041 %",
        ),
        (
            "{{printf `%.2f %e %g %+d % d` 1.5 100000.0 0.5 3 4}}",
            "1.50 1.000000e+05 0.5 +3  4",
        ),
        (
            "{{printf `%d` `hi`}} {{printf `%s`}} {{printf `x` 1}}",
            "%!d(string=hi) %!s(MISSING) x%!(EXTRA int=1)",
        ),
        (
            "{{printf `%T %.2s %08.3f %-5s|` 1 `abcd` 3.14159 `x`}}",
            "int ab 0003.142 x    |",
        ),
        (
            "{{html `<a href=\"x\">&'`}}",
            "&lt;a href=&#34;x&#34;&gt;&amp;&#39;",
        ),
        ("{{js `it's \"<b>\"`}}", "it\\'s \\\"\\u003Cb\\u003E\\\""),
        ("{{urlquery `a b&c*~ä`}}", "a+b%26c%2A~%C3%A4"),
        (
            "{{0x10}} {{'a'}} {{1e3}} {{1e21}} {{-5}} {{0.5}} {{1_000}}",
            "16 97 1000 1e+21 -5 0.5 1000",
        ),
        (r#"{{"a\tb\u00e4\x41\101\\\""}}"#, "a\tbäAA\\\""),
        ("{{true}} {{nil | print}}", "true <nil>"),
    ]);
}

#[test]
fn errors_say_what_and_where() {
    let table = [
        ("{{foo}}", 2, "There is no template function `foo`"),
        (
            "ab {{ env `HOME` }}",
            6,
            "`env` is only allowed in the defaults of `variables`",
        ),
        ("{{user}}", 2, "`user` takes 1 argument(s), but 0 are given"),
        (
            "{{user 5}}",
            7,
            "Argument 1 of `user` must be a string, but it is a int",
        ),
        (
            "{{user `a` `b`}}",
            2,
            "`user` takes 1 argument(s), but 2 are given",
        ),
        (
            "{{split `a` `-` 3}}",
            2,
            "The substring 3 was unavailable using the separator value, -, only 1 values were found",
        ),
        (
            "{{split `a` `-` -1}}",
            2,
            "The substring -1 was unavailable using the separator value, -, only 1 values were found",
        ),
        (
            "{{sed `a` `b`}}",
            2,
            "Template function `sed` is deprecated and does nothing",
        ),
        (
            "{{consul_key `a`}}",
            2,
            "Template function `consul_key` is not supported",
        ),
        (
            "{{vault `a` `b`}}",
            2,
            "Template function `vault` is not supported",
        ),
        ("{{build `ID`}}", 2, "`build` is not available here"),
        ("{{.Foo}}", 2, "There is no field `.Foo` here"),
        ("{{.Vars.X}}", 2, "A string has no field `.X`"),
        ("x{{", 1, "Unclosed `{{`"),
        ("x{{user `a}}", 8, "Unclosed string in a template action"),
        ("{{user \"a}}", 7, "Unclosed string in a template action"),
        ("{{}}", 2, "A value or a function is missing"),
        ("{{user `a` |}}", 12, "A value or a function is missing"),
        ("{{`a` | `b`}}", 8, "Only a function can follow `|`"),
        ("{{if true}}", 0, "This block is never closed"),
        ("{{end}}", 0, "`{{end}}` without a block that it belongs to"),
        (
            "{{else}}",
            0,
            "`{{else}}` without a block that it belongs to",
        ),
        ("{{if 1}}{{else}}{{else}}{{end}}", 16, "A second `else`"),
        ("{{$x}}", 2, "Undefined variable `$x`"),
        ("{{break}}", 2, "`break` outside of `range`"),
        (
            "{{template `x`}}",
            2,
            "`template` is not supported in a template string",
        ),
        (
            "{{(user `a`}}",
            2,
            "Unclosed parenthesis in a template action",
        ),
        ("{{'ab'}}", 2, "Single quotes hold one character only"),
        ("{{\"\\q\"}}", 2, "Bad escape in a quoted string"),
        ("{{user`a`}}", 6, "A blank is missing between two arguments"),
        ("{{1x}}", 2, "Bad number `1x` in a template action"),
        ("{{a-b}}", 3, "Bad number `-b` in a template action"),
        ("{{/* x }}", 0, "Unclosed comment"),
        ("{{eq 1 `a`}}", 2, "`eq` cannot compare a int with a string"),
        ("{{index `a` 5}}", 2, "Index out of range: 5"),
        (
            "{{range `abc`}}{{end}}",
            8,
            "`range` cannot go over a string",
        ),
        (
            "{{`a` `b`}}",
            2,
            "Arguments behind something that is not a function",
        ),
    ];
    for (text, offset, message) in table {
        let error = rendered(text).unwrap_err();
        assert_eq!(
            (error.offset, error.message.as_str()),
            (offset, message),
            "{text}"
        );
        assert!(
            error.end >= error.offset && error.end <= text.len(),
            "{text}"
        );
    }
}

#[test]
fn near_misses_are_hinted() {
    let table = [
        ("{{usr `a`}}", "Did you mean `user`?"),
        ("{{timestmap}}", "Did you mean `timestamp`?"),
        ("{{clean_image_name `a`}}", "Use `clean_resource_name`"),
        ("{{.Host}}", "Write {{build `Host`}}"),
        ("{{.Nope}}", "Known here: `.Path`, `.Vars`"),
    ];
    for (text, hint) in table {
        assert_eq!(
            rendered(text).unwrap_err().hint.as_deref(),
            Some(hint),
            "{text}"
        );
    }
}

#[test]
fn endless_templates_end() {
    for text in [
        "{{range 1000000000}}{{end}}".to_owned(),
        "{{(".repeat(10_000),
        "{{if 1}}".repeat(10_000),
        format!("{{{{{}1{}}}}}", "(".repeat(1000), ")".repeat(1000)),
        "{{printf `%999999999d` 1}}".to_owned(),
    ] {
        assert!(rendered(&text).is_err(), "{}", &text[..20]);
    }
}

#[test]
fn env_is_for_variables_only() {
    let (user, fields) = (user(), BTreeMap::new());
    let lookup = |name: &str| (name == "HOME").then(|| "/root".to_owned());
    let context = Context {
        env: Some(&lookup),
        ..context(&user, &fields)
    };
    assert_eq!(
        render("{{env `HOME`}}{{env `UNSET`}}", &context).as_deref(),
        Ok("/root")
    );
    let error = render("{{user `later`}}", &context).unwrap_err();
    assert_eq!(error.cause, Cause::UnsetVariable("later".to_owned()));
}

#[test]
fn missing_fields_can_stay() {
    let (user, fields) = (user(), BTreeMap::new());
    let context = Context {
        missing_fields: MissingFields::Keep,
        ..context(&user, &fields)
    };
    let table = [
        ("{{.HTTPIP}}:{{ .HTTPPort }}", "{{.HTTPIP}}:{{ .HTTPPort }}"),
        ("{{user `region`}} {{.Name}}", "cn-beijing {{.Name}}"),
        ("{{upper .Name}}!", "{{upper .Name}}!"),
        ("{{if .X}}a{{else}}b{{end}}c", "{{if .X}}a{{else}}b{{end}}c"),
        ("{{if true}}{{.X}}{{end}}", "{{.X}}"),
    ];
    for (text, expected) in table {
        assert_eq!(render(text, &context).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn build_is_deferred_and_then_known() {
    let (user, fields) = (user(), fields());
    let deferred = Context {
        build: BuildAccess::Deferred,
        ..context(&user, &fields)
    };
    assert_eq!(
        render("{{build `ID`}}", &deferred).as_deref(),
        Ok("{{.ID}}")
    );
    let error = render("{{build `Hots`}}", &deferred).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("Did you mean `Host`?"));
    let values = [("ID".to_owned(), "i-1".to_owned())].into();
    let known = Context {
        build: BuildAccess::Known(&values),
        ..deferred
    };
    assert_eq!(
        render("{{build `ID`}} {{.ID}}", &known).as_deref(),
        Ok("i-1 i-1")
    );
}

#[test]
fn uuid_is_new_at_each_call_and_ordered_by_time() {
    let text = rendered("{{uuid}} {{uuid}}").unwrap();
    let (first, second) = text.split_once(' ').unwrap();
    assert_ne!(first, second);
    assert_eq!(first.len(), 36);
    assert!(first.starts_with("65bdbb72-"), "{first}");
}

#[test]
fn user_variables_are_found_everywhere() {
    let text = "{{user `a`}}{{if eq (user `b`) `x`}}{{`c` | user}}{{end}}{{user .X}}";
    let names: Vec<_> = user_variables(text)
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn no_text_makes_it_panic() {
    let sample = "{{- if and (eq .Vars \"a\\u00e4\") true -}} {{range $i, $e := 2}}ä{{printf `%5.2f` 1.5e3 | upper}}{{else}}{{end}}{{end}} {{/* x */}}{{'a'}}{{$x := 0x1F}}{{$x}}";
    let marks = [
        "{{", "}}", "`", "\"", "\\", "(", "|", "$", ".", "-", "9", "ü", "\n",
    ];
    for (index, _) in sample.char_indices() {
        let _ = rendered(&sample[..index]);
        let _ = rendered(&sample[index..]);
        for mark in marks {
            let _ = rendered(&format!("{}{mark}{}", &sample[..index], &sample[index..]));
        }
    }
}
