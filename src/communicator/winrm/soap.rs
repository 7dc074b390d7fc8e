//! The messages of the remote shell, as text and back.
//!
//! Pure: nothing is sent here. Source of facts: MS-WSMV, sections 2.2.4 and
//! 3.1.4 (Create, Command, Send, Receive, Signal, Delete), DSP0226.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;
use uuid::Uuid;

use super::xml::Element;
use crate::engine::event::Stream;

/// How long the server may hold a request back while nothing happens.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";

/// The largest answer; what Windows Server 2008 R2 takes at most.
const ENVELOPE_BYTES: u32 = 150 * 1024;

/// UTF-8.
const CODE_PAGE: &str = "65001";

/// What is asked of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    /// Open a shell.
    Create,
    /// Run a command line in it; with standard input as a pipe or not at all.
    Command {
        shell: &'a str,
        line: &'a str,
        piped: bool,
    },
    /// Give bytes to the command's standard input.
    Send {
        shell: &'a str,
        command: &'a str,
        data: &'a [u8],
        end: bool,
    },
    /// Ask for output.
    Receive { shell: &'a str, command: &'a str },
    /// End the shell and all in it.
    Delete { shell: &'a str },
}

impl Request<'_> {
    /// The message to a URL.
    pub(super) fn message(&self, url: &str) -> String {
        let (action, options, body) = self.parts();
        let shell = self.shell().map_or_else(String::new, |id| {
            let id = escape(id);
            format!("<w:SelectorSet><w:Selector Name=\"ShellId\">{id}</w:Selector></w:SelectorSet>")
        });
        let options: String = options
            .iter()
            .map(|(name, value)| format!("<w:Option Name=\"{name}\">{value}</w:Option>"))
            .collect();
        let options = match options.is_empty() {
            true => options,
            false => format!("<w:OptionSet>{options}</w:OptionSet>"),
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
             xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" \
             xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\" \
             xmlns:rsp=\"{SHELL}\"><s:Header><a:To>{}</a:To>\
             <w:ResourceURI s:mustUnderstand=\"true\">{SHELL}/cmd</w:ResourceURI>\
             <a:ReplyTo><a:Address s:mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
             <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{ENVELOPE_BYTES}</w:MaxEnvelopeSize>\
             <a:MessageID>uuid:{}</a:MessageID>\
             <w:Locale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
             <p:DataLocale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
             <w:OperationTimeout>PT{}S</w:OperationTimeout>{shell}{options}\
             </s:Header><s:Body>{body}</s:Body></s:Envelope>",
            escape(url),
            Uuid::new_v4(),
            OPERATION_TIMEOUT.as_secs(),
        )
    }

    fn shell(&self) -> Option<&str> {
        match self {
            Self::Create => None,
            Self::Command { shell, .. }
            | Self::Send { shell, .. }
            | Self::Receive { shell, .. }
            | Self::Delete { shell } => Some(shell),
        }
    }

    /// Action, options and body.
    fn parts(&self) -> (String, &'static [(&'static str, &'static str)], String) {
        match self {
            Self::Create => (format!("{TRANSFER}/Create"), OF_SHELL, STREAMS.to_owned()),
            Self::Command { line, piped, .. } => {
                let options = if *piped { WITH_PIPE } else { WITH_CONSOLE };
                let body = format!(
                    "<rsp:CommandLine><rsp:Command>{}</rsp:Command></rsp:CommandLine>",
                    escape(*line)
                );
                (format!("{SHELL}/Command"), options, body)
            }
            Self::Send {
                command, data, end, ..
            } => {
                let end = if *end { " End=\"true\"" } else { "" };
                let body = format!(
                    "<rsp:Send><rsp:Stream Name=\"stdin\" CommandId=\"{}\"{end}>{}</rsp:Stream>\
                     </rsp:Send>",
                    escape(*command),
                    STANDARD.encode(data)
                );
                (format!("{SHELL}/Send"), &[], body)
            }
            Self::Receive { command, .. } => {
                let body = format!(
                    "<rsp:Receive><rsp:DesiredStream CommandId=\"{}\">stdout stderr\
                     </rsp:DesiredStream></rsp:Receive>",
                    escape(*command)
                );
                (format!("{SHELL}/Receive"), KEEP_ALIVE, body)
            }
            Self::Delete { .. } => (format!("{TRANSFER}/Delete"), &[], String::new()),
        }
    }
}

const OF_SHELL: &[(&str, &str)] = &[("WINRS_NOPROFILE", "FALSE"), ("WINRS_CODEPAGE", CODE_PAGE)];
const WITH_CONSOLE: &[(&str, &str)] = &[
    ("WINRS_CONSOLEMODE_STDIN", "TRUE"),
    ("WINRS_SKIP_CMD_SHELL", "FALSE"),
];
const WITH_PIPE: &[(&str, &str)] = &[
    ("WINRS_CONSOLEMODE_STDIN", "FALSE"),
    ("WINRS_SKIP_CMD_SHELL", "FALSE"),
];
const KEEP_ALIVE: &[(&str, &str)] = &[("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE")];

const STREAMS: &str = "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>\
    <rsp:OutputStreams>stdout stderr</rsp:OutputStreams></rsp:Shell>";

/// The id in an answer to [`Request::Create`].
pub(super) fn shell_id(answer: &Element) -> Option<String> {
    // Windows Server 2008 R2 says it in the reference only.
    let mut selectors = answer.find_all("Selector").into_iter();
    let selector = selectors.find(|it| it.attribute("Name") == Some("ShellId"));
    let found = selector.or_else(|| answer.find("ShellId"))?;
    Some(found.text().to_owned()).filter(|id| !id.is_empty())
}

/// The id in an answer to [`Request::Command`].
pub(super) fn command_id(answer: &Element) -> Option<String> {
    let id = answer.find("CommandId")?.text();
    (!id.is_empty()).then(|| id.to_owned())
}

/// An answer to [`Request::Receive`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) output: Vec<(Stream, Vec<u8>)>,
    /// The exit code, when the command has ended.
    pub(super) exit_code: Option<u32>,
}

/// Reads an answer to [`Request::Receive`]; none when it is something else.
pub(super) fn received(answer: &Element) -> Option<Received> {
    let response = answer.find("ReceiveResponse")?;
    let mut received = Received::default();
    for stream in response.find_all("Stream") {
        let kind = match stream.attribute("Name") {
            Some("stdout") => Stream::Stdout,
            Some("stderr") => Stream::Stderr,
            _ => continue,
        };
        let data = STANDARD.decode(stream.text()).ok()?;
        if !data.is_empty() {
            received.output.push((kind, data));
        }
    }
    let state = response.find("CommandState");
    let is_done = state
        .and_then(|state| state.attribute("State"))
        .is_some_and(|state| state.ends_with("/Done"));
    if is_done {
        let code = response.find("ExitCode").map_or("0", Element::text);
        // NTSTATUS codes of crashed programs come as negative numbers too.
        let code: i64 = code.parse().ok()?;
        received.exit_code = Some((code & 0xffff_ffff) as u32);
    }
    Some(received)
}

/// What the server says when it does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Of WS-Management, if it has one.
    pub(super) code: Option<u32>,
    /// In the machine's language.
    pub(super) text: String,
}

impl Fault {
    /// Reads a fault; none when it is something else.
    pub(super) fn of(answer: &Element) -> Option<Self> {
        let fault = answer.find("Fault")?;
        let wsman = fault.find("WSManFault");
        let code = wsman.and_then(|it| it.attribute("Code")?.parse().ok());
        let message = wsman.and_then(|it| it.find("Message"));
        let texts = [message, fault.find("Reason").and_then(|it| it.find("Text"))];
        let text = texts.into_iter().flatten().map(Element::text);
        let text = text.into_iter().find(|text| !text.is_empty());
        Some(Self {
            code,
            text: text.unwrap_or("no reason given").to_owned(),
        })
    }

    /// Whether nothing happened for [`OPERATION_TIMEOUT`], which is no failure.
    pub(super) fn is_operation_timeout(&self) -> bool {
        self.code == Some(2_150_858_793)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_well_formed_and_escaped() {
        let request = Request::Command {
            shell: "S<1>",
            line: "echo \"a\" && b",
            piped: true,
        };
        let root = Element::parse(&request.message("http://h:5985/wsman")).unwrap();
        assert_eq!(root.find("Command").unwrap().text(), "echo \"a\" && b");
        assert_eq!(shell_id(&root).as_deref(), Some("S<1>"));
        assert_eq!(root.find("OperationTimeout").unwrap().text(), "PT20S");
        let options: Vec<_> = root.find_all("Option").iter().map(|it| it.text()).collect();
        assert_eq!(options, ["FALSE", "FALSE"]);
    }

    #[test]
    fn output_and_the_end_are_read() {
        let answer = |state: &str, code: &str| {
            format!(
                "<s:Envelope><s:Body><r:ReceiveResponse>\
                 <r:Stream Name=\"stdout\" CommandId=\"C\">aGk=</r:Stream>\
                 <r:CommandState CommandId=\"C\" State=\"x/CommandState/{state}\">{code}\
                 </r:CommandState>\
                 <r:Stream Name=\"stderr\" CommandId=\"C\" End=\"true\"></r:Stream>\
                 </r:ReceiveResponse></s:Body></s:Envelope>"
            )
        };
        let output = vec![(Stream::Stdout, b"hi".to_vec())];
        for (state, code, expected) in [
            ("Running", "", None),
            ("Done", "<r:ExitCode>3</r:ExitCode>", Some(3)),
            ("Done", "", Some(0)),
            (
                "Done",
                "<r:ExitCode>-1073741510</r:ExitCode>",
                Some(0xc000_013a),
            ),
        ] {
            let answer = Element::parse(&answer(state, code)).unwrap();
            let received = received(&answer).unwrap();
            assert_eq!(received.output, output);
            assert_eq!(received.exit_code, expected, "{state} {code}");
        }
    }

    #[test]
    fn a_fault_says_why() {
        let text = "<s:Envelope><s:Body><s:Fault><s:Reason><s:Text>outer</s:Text></s:Reason>\
                    <s:Detail><f:WSManFault Code=\"2150858793\"><f:Message>inner </f:Message>\
                    </f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>";
        let fault = Fault::of(&Element::parse(text).unwrap()).unwrap();
        assert_eq!(fault.text, "inner");
        assert!(fault.is_operation_timeout());
        let text = text
            .replace("inner ", "")
            .replace(" Code=\"2150858793\"", "");
        let fault = Fault::of(&Element::parse(&text).unwrap()).unwrap();
        assert_eq!(fault.text, "outer");
        assert_eq!(fault.code, None);
    }
}
