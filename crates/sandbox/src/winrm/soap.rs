//! The messages of WS-Management's remote shell: requests as they are read,
//! answers as they are written. Facts: MS-WSMV 3.1.4, DSP0226.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;
use serde::Deserialize;

const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
const CMD: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";
const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Command,
    Send,
    Receive,
    Signal,
    Delete,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    #[serde(rename = "Header")]
    pub(crate) header: Header,
    #[serde(rename = "Body", default)]
    pub(crate) body: Body,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "Action")]
    action: Text,
    #[serde(rename = "ResourceURI")]
    resource: Text,
    #[serde(rename = "MessageID")]
    message_id: Text,
    #[serde(rename = "OperationTimeout")]
    timeout: Option<Text>,
    #[serde(rename = "SelectorSet")]
    selectors: Option<Selectors>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Text {
    #[serde(rename = "$text", default)]
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
struct Selectors {
    #[serde(rename = "Selector", default)]
    list: Vec<Named>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    #[serde(rename = "@Name")]
    name: String,
    #[serde(rename = "$text", default)]
    value: String,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Body {
    #[serde(rename = "Shell")]
    pub(crate) shell: Option<Shell>,
    #[serde(rename = "CommandLine")]
    pub(crate) command_line: Option<CommandLine>,
    #[serde(rename = "Send")]
    pub(crate) send: Option<Send>,
    #[serde(rename = "Receive")]
    pub(crate) receive: Option<Receive>,
    #[serde(rename = "Signal")]
    pub(crate) signal: Option<Signal>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Shell {
    #[serde(rename = "Environment")]
    environment: Option<Environment>,
    #[serde(rename = "WorkingDirectory")]
    directory: Option<Text>,
}

#[derive(Debug, Deserialize)]
struct Environment {
    #[serde(rename = "Variable", default)]
    variables: Vec<Named>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CommandLine {
    #[serde(rename = "@CommandId")]
    pub(crate) id: Option<String>,
    #[serde(rename = "Command")]
    command: Text,
    #[serde(rename = "Arguments", default)]
    arguments: Vec<Text>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Send {
    #[serde(rename = "Stream", default)]
    pub(crate) streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Stream {
    #[serde(rename = "@CommandId")]
    pub(crate) command: Option<String>,
    #[serde(rename = "@End", default)]
    end: String,
    #[serde(rename = "$text", default)]
    data: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Receive {
    #[serde(rename = "DesiredStream")]
    pub(crate) stream: Desired,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Desired {
    #[serde(rename = "@CommandId")]
    pub(crate) command: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Signal {
    #[serde(rename = "@CommandId")]
    pub(crate) command: String,
}

impl Envelope {
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(message).map_err(|_| Fault::MALFORMED)?;
        quick_xml::de::from_str(text).map_err(|error| {
            tracing::debug!(%error, "a message of WinRM cannot be read");
            Fault::MALFORMED
        })
    }

    pub(crate) fn message_id(&self) -> &str {
        &self.header.message_id.value
    }

    /// What is wanted, of a shell that runs commands.
    pub(crate) fn action(&self) -> Result<Action, Fault> {
        if !self.header.resource.value.eq_ignore_ascii_case(CMD) {
            return Err(Fault::RESOURCE);
        }
        let action = self.header.action.value.as_str();
        let of = |prefix: &str| action.strip_prefix(prefix)?.strip_prefix('/');
        match (of(TRANSFER), of(SHELL)) {
            (Some("Create"), _) => Ok(Action::Create),
            (Some("Delete"), _) => Ok(Action::Delete),
            (_, Some("Command")) => Ok(Action::Command),
            (_, Some("Send")) => Ok(Action::Send),
            (_, Some("Receive")) => Ok(Action::Receive),
            (_, Some("Signal")) => Ok(Action::Signal),
            _ => Err(Fault::ACTION),
        }
    }

    pub(crate) fn shell_id(&self) -> Result<&str, Fault> {
        let selectors = self.header.selectors.iter().flat_map(|set| &set.list);
        let mut ids = selectors.filter(|selector| selector.name == "ShellId");
        let id = ids.next().ok_or(Fault::SELECTORS)?;
        Ok(&id.value)
    }

    /// Seconds the client lets us wait: `PT20S`, `PT20.000S`.
    pub(crate) fn timeout(&self) -> f64 {
        const DEFAULT: f64 = 60.0;
        let text = self.header.timeout.as_ref().map(|text| text.value.as_str());
        let seconds = text.and_then(|it| it.strip_prefix("PT")?.strip_suffix('S')?.parse().ok());
        seconds.unwrap_or(DEFAULT)
    }
}

impl Shell {
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.environment.iter().flat_map(|it| &it.variables);
        named.map(|it| (it.name.as_str(), it.value.as_str()))
    }

    pub(crate) fn directory(&self) -> Option<&str> {
        self.directory.as_ref().map(|it| it.value.as_str())
    }
}

impl CommandLine {
    /// Command and arguments as one line.
    pub(crate) fn line(&self) -> String {
        let arguments = self.arguments.iter().map(|it| it.value.as_str());
        let words: Vec<_> = [self.command.value.as_str()]
            .into_iter()
            .chain(arguments)
            .collect();
        words.join(" ")
    }
}

impl Stream {
    pub(crate) fn data(&self) -> Result<Vec<u8>, Fault> {
        let packed: String = self.data.split_whitespace().collect();
        STANDARD.decode(packed).map_err(|_| Fault::MALFORMED)
    }

    pub(crate) fn is_last(&self) -> bool {
        self.end.eq_ignore_ascii_case("true") || self.end == "1"
    }
}

/// Why a request cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    code: u32,
    subcode: &'static str,
    text: &'static str,
}

impl Fault {
    pub(crate) const MALFORMED: Self = Self {
        code: 2_150_858_817,
        subcode: "w:SchemaValidationError",
        text: "The SOAP XML in the message does not match the corresponding XML schema definition.",
    };
    const RESOURCE: Self = Self {
        code: 2_150_858_752,
        subcode: "a:DestinationUnreachable",
        text: "The WS-Management service cannot process the request. The resource URI is not \
               supported.",
    };
    pub(crate) const ACTION: Self = Self {
        code: 2_150_858_753,
        subcode: "a:ActionNotSupported",
        text: "The WS-Management service cannot process the request. The action is not supported.",
    };
    pub(crate) const SELECTORS: Self = Self {
        code: 2_150_858_843,
        subcode: "w:InvalidSelectors",
        text: "The request for the Windows Remote Shell with ShellId failed because the shell was \
               not found on the server.",
    };
    pub(crate) const COMMAND: Self = Self {
        code: 2_150_859_066,
        subcode: "w:InternalError",
        text: "The command ID is invalid or the command has ended.",
    };
    pub(crate) const TIMEOUT: Self = Self {
        code: 2_150_858_793,
        subcode: "w:TimedOut",
        text: "The WS-Management service cannot complete the operation within the time specified \
               in OperationTimeout.",
    };
    pub(crate) const TOO_LARGE: Self = Self {
        code: 2_150_858_845,
        subcode: "w:EncodingLimit",
        text: "The request has exceeded the maximum size allowed by the service.",
    };

    /// The fault as a message.
    pub(crate) fn message(self, relates_to: &str) -> String {
        let Self {
            code,
            subcode,
            text,
        } = self;
        let body = format!(
            "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value>\
             </s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"en-US\">{text}</s:Text></s:Reason>\
             <s:Detail><f:WSManFault \
             xmlns:f=\"http://schemas.microsoft.com/wbem/wsman/1/wsmanfault\" Code=\"{code}\" \
             Machine=\"sandbox\"><f:Message>{text} </f:Message></f:WSManFault></s:Detail></s:Fault>"
        );
        answer(
            "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
            relates_to,
            &body,
        )
    }
}

fn answer(action: &str, relates_to: &str, body: &str) -> String {
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:x=\"http://schemas.xmlsoap.org/ws/2004/09/transfer\" \
         xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" \
         xmlns:rsp=\"{SHELL}\" xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\">\
         <s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:{}</a:MessageID>\
         <a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>\
         <a:RelatesTo>{}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>",
        super::shells::new_id(),
        escape(relates_to),
    )
}

pub(crate) fn created(relates_to: &str, shell: &str) -> String {
    let body = format!(
        "<x:ResourceCreated><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/\
         anonymous</a:Address><a:ReferenceParameters><w:ResourceURI>{CMD}</w:ResourceURI>\
         <w:SelectorSet><w:Selector Name=\"ShellId\">{shell}</w:Selector></w:SelectorSet>\
         </a:ReferenceParameters></x:ResourceCreated>\
         <rsp:Shell><rsp:ShellId>{shell}</rsp:ShellId><rsp:ResourceUri>{CMD}</rsp:ResourceUri>\
         <rsp:Owner>Administrator</rsp:Owner><rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut>\
         <rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr\
         </rsp:OutputStreams></rsp:Shell>"
    );
    answer(&format!("{TRANSFER}/CreateResponse"), relates_to, &body)
}

pub(crate) fn command_started(relates_to: &str, command: &str) -> String {
    let body = format!(
        "<rsp:CommandResponse><rsp:CommandId>{command}</rsp:CommandId></rsp:CommandResponse>"
    );
    answer(&format!("{SHELL}/CommandResponse"), relates_to, &body)
}

pub(crate) fn sent(relates_to: &str) -> String {
    answer(
        &format!("{SHELL}/SendResponse"),
        relates_to,
        "<rsp:SendResponse/>",
    )
}

pub(crate) fn signalled(relates_to: &str) -> String {
    answer(
        &format!("{SHELL}/SignalResponse"),
        relates_to,
        "<rsp:SignalResponse/>",
    )
}

pub(crate) fn deleted(relates_to: &str) -> String {
    answer(&format!("{TRANSFER}/DeleteResponse"), relates_to, "")
}

/// Output, and the exit code once there is no more.
pub(crate) fn received(
    relates_to: &str,
    command: &str,
    output: [&[u8]; 2],
    exit_code: Option<i32>,
) -> String {
    let mut body = String::from("<rsp:ReceiveResponse>");
    for (name, data) in ["stdout", "stderr"].into_iter().zip(output) {
        if !data.is_empty() {
            let data = STANDARD.encode(data);
            body +=
                &format!("<rsp:Stream Name=\"{name}\" CommandId=\"{command}\">{data}</rsp:Stream>");
        }
        if exit_code.is_some() {
            body += &format!(
                "<rsp:Stream Name=\"{name}\" CommandId=\"{command}\" End=\"true\"></rsp:Stream>"
            );
        }
    }
    body += &match exit_code {
        Some(code) => format!(
            "<rsp:CommandState CommandId=\"{command}\" State=\"{SHELL}/CommandState/Done\">\
             <rsp:ExitCode>{code}</rsp:ExitCode></rsp:CommandState>"
        ),
        None => format!(
            "<rsp:CommandState CommandId=\"{command}\" State=\"{SHELL}/CommandState/Running\"/>"
        ),
    };
    body += "</rsp:ReceiveResponse>";
    answer(&format!("{SHELL}/ReceiveResponse"), relates_to, &body)
}
