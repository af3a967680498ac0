//! A small MCP server over stdio, for demonstrations without Node and for tests that need a server
//! that misbehaves on demand.
//!
//! It runs as a child process like any other upstream and shares no state with the rest of the
//! program.

use std::{
    ffi::OsString,
    io::Write,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult,
        ContentBlock, Implementation, InitializeRequestParams, InitializeResult,
        InitializeResultMethod, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam,
        ServerCapabilities, ServerConfig, SubscriptionFilter, Tool, ToolAnnotations,
    },
    service::{RequestContext, SubscriptionContext},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Longest wait of the tool `wait`, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;
/// Shortest wait for which the tool `wait` reports progress, in milliseconds.
const PROGRESS_MS_MIN: u64 = 1_000;
/// Largest string of the tool `big`, in bytes.
const BIG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most notes that are kept.
const NOTES_MAX: usize = 1_000;

/// Behaviour of the server.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "airlock __demo-upstream",
    about = "A small MCP server over stdio, for demonstrations and tests"
)]
struct Options {
    /// Splits the tool list into this many pages.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pages: u16,
    /// Offers this many additional tools, `item_1` and so on, each of which returns its number.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    tools: u32,
    /// Offers the tools of this file, a JSON array as in `tools/list`, instead of its own. The file
    /// is read again for every list.
    #[arg(long)]
    offer: Option<PathBuf>,
    /// Waits this many milliseconds before the first response.
    #[arg(long, default_value_t = 0)]
    slow_start: u64,
    /// Offers one more tool after the first call and notifies the client.
    #[arg(long)]
    grow: bool,
    /// Appends a line with the name of the tool for every call, and another line if a call is
    /// cancelled.
    #[arg(long)]
    count_file: Option<PathBuf>,
    /// Rejects the legacy handshake.
    #[arg(long)]
    modern_only: bool,
}

/// Error of the server.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Invalid arguments; the message is written for people.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The client disconnected before the handshake, or used another protocol.
    #[error("the handshake with the client failed")]
    Handshake(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// First argument with which the binary runs this server.
pub const COMMAND: &str = "__demo-upstream";

/// Runs the server as a process; errors go to standard error. `args` are the arguments after the
/// command.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| DemoError::Handshake(Box::new(error)))
        .and_then(|runtime| runtime.block_on(serve(args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without standard error the message cannot be reported.
            writeln!(std::io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Serves on standard input and output until the input ends. `args` are the arguments after the
/// command.
pub async fn serve(args: impl IntoIterator<Item = OsString>) -> Result<(), DemoError> {
    let options = Options::try_parse_from(std::iter::once(OsString::from("demo")).chain(args))?;
    tokio::time::sleep(Duration::from_millis(options.slow_start)).await;
    let server = DemoUpstream(Arc::new(State {
        options,
        notes: Mutex::default(),
        grown: AtomicBool::new(false),
        growth: Notify::new(),
    }));
    let running = server
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| DemoError::Handshake(Box::new(error)))?;
    // The reason of the end does not matter.
    let _ = running.waiting().await;
    Ok(())
}

#[derive(Clone)]
struct DemoUpstream(Arc<State>);

struct State {
    options: Options,
    notes: Mutex<Vec<String>>,
    grown: AtomicBool,
    growth: Notify,
}

fn tool(
    name: &'static str,
    description: &'static str,
    properties: Value,
    required: &[&str],
) -> Tool {
    let schema = json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false
    });
    let Value::Object(schema) = schema else { return Tool::default() };
    Tool::new(name, description, schema)
}

fn with_output(tool: Tool, output: Value) -> Tool {
    match output {
        Value::Object(schema) => tool.with_raw_output_schema(Arc::new(schema)),
        _ => tool,
    }
}

fn offered_tools(grown: bool) -> Vec<Tool> {
    let reads = || ToolAnnotations::new().read_only(true).idempotent(true);
    let number = |what: &str| json!({"type": "number", "description": what});
    let mut tools = vec![
        tool(
            "echo",
            "Returns the message as it came.",
            json!({"message": {"type": "string", "description": "What to return"}}),
            &["message"],
        )
        .with_annotations(reads()),
        with_output(
            tool(
                "add",
                "Adds two numbers and returns their sum.",
                json!({"a": number("First number"), "b": number("Second number")}),
                &["a", "b"],
            )
            .with_annotations(reads()),
            json!({
                "type": "object", "properties": {"sum": number("The sum")}, "required": ["sum"]
            }),
        ),
        tool(
            "wait",
            "Waits some milliseconds and returns how many.",
            json!({"ms": {
                "type": "integer", "minimum": 0, "maximum": WAIT_MS_MAX, "default": 100,
                "description": "Milliseconds"
            }}),
            &[],
        )
        .with_annotations(reads()),
        tool(
            "fail",
            "Fails with the message.",
            json!({"message": {"type": "string"}}),
            &["message"],
        ),
        tool(
            "big",
            "Returns a string of that many bytes.",
            json!({"bytes": {"type": "integer", "minimum": 0, "maximum": BIG_BYTES_MAX}}),
            &["bytes"],
        )
        .with_annotations(reads()),
        tool("crash", "Ends the whole server in the middle of the call.", json!({}), &[])
            .with_annotations(ToolAnnotations::new().destructive(true)),
    ];
    tools.extend(notes_tools());
    if grown {
        tools.push(
            tool("grown", "Was not there at the start.", json!({}), &[]).with_annotations(reads()),
        );
    }
    tools
}

fn notes_tools() -> [Tool; 2] {
    let reads = ToolAnnotations::new().read_only(true).idempotent(true);
    [
        with_output(
            tool(
                "notes.add",
                "Adds a note to the list and returns its number.",
                json!({"text": {"type": "string", "maxLength": 1000}}),
                &["text"],
            )
            .with_annotations(ToolAnnotations::new().read_only(false).destructive(false)),
            json!({
                "type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]
            }),
        ),
        with_output(
            tool("notes.list", "Lists all notes, the oldest first.", json!({}), &[])
                .with_annotations(reads),
            json!({
                "type": "object",
                "properties": {
                    "notes": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"id": {"type": "integer"}, "text": {"type": "string"}},
                            "required": ["id", "text"],
                        },
                    },
                },
                "required": ["notes"],
            }),
        ),
    ]
}

fn read_tools(file: &std::path::Path) -> Result<Vec<Tool>, ErrorData> {
    let failed = |error: String| {
        ErrorData::internal_error(format!("`{}` cannot be offered: {error}", file.display()), None)
    };
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}

fn item_tool(number: u32) -> Tool {
    let mut tool =
        tool("item", "Reads one item of the collection.", json!({"id": {"type": "string"}}), &[]);
    tool.name = format!("item_{number}").into();
    tool
}

impl ServerHandler for DemoUpstream {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerConfig::new(capabilities).with_server_info(
            Implementation::new("airlock-demo", env!("CARGO_PKG_VERSION"))
                .with_title("Airlock demo upstream"),
        )
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        if self.0.options.modern_only {
            return Err(ErrorData::method_not_found::<InitializeResultMethod>());
        }
        context.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools = match &self.0.options.offer {
            Some(file) => read_tools(file)?,
            None => offered_tools(self.0.grown.load(Ordering::Relaxed)),
        };
        tools.extend((1..=self.0.options.tools).map(item_tool));
        let pages = usize::from(self.0.options.pages);
        let cursor = request.and_then(|request| request.cursor);
        let page = match cursor.as_deref().map(str::parse::<usize>) {
            None => 0,
            Some(Ok(page)) if page < pages => page,
            Some(_) => return Err(ErrorData::invalid_params("there is no such cursor", None)),
        };
        let size = tools.len().div_ceil(pages);
        let tools = tools.into_iter().skip(page * size).take(size).collect();
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = (page + 1 < pages).then(|| (page + 1).to_string());
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.count(&request.name);
        let args = Value::Object(request.arguments.unwrap_or_default());
        let result = self.0.perform(&request.name, &args, &context).await?;
        if self.0.options.grow && !self.0.grown.swap(true, Ordering::Relaxed) {
            self.0.growth.notify_waiters();
            // A client that has disconnected needs no notification.
            let _ = context.peer.notify_tool_list_changed().await;
        }
        Ok(result.into())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.intersection(&SubscriptionFilter::builder().tools_list_changed().build()))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.0.growth.notified() => {
                    if context.sink().notify_tool_list_changed().await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl State {
    fn count(&self, line: &str) {
        let Some(path) = &self.options.count_file else { return };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        // A single write, so that lines of several servers do not interleave.
        if let Err(error) = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
        {
            tracing::warn!(%error, "the call could not be counted");
        }
    }

    async fn perform(
        &self,
        name: &str,
        args: &Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| args.get(name).and_then(Value::as_f64).unwrap_or_default();
        let reply = |text: String| CallToolResult::success(vec![ContentBlock::text(text)]);
        Ok(match name {
            "echo" => reply(text("message").to_owned()),
            "add" => CallToolResult::structured(json!({"sum": number("a") + number("b")})),
            "wait" => {
                let ms = args.get("ms").and_then(Value::as_u64).unwrap_or(100).min(WAIT_MS_MAX);
                if let Some(token) =
                    context.meta.get_progress_token().filter(|_| ms >= PROGRESS_MS_MIN)
                {
                    let notice = ProgressNotificationParam::new(token, 0.0)
                        .with_total(ms as f64)
                        .with_message("waiting");
                    // Progress is optional, so a failure does not matter.
                    let _ = context.peer.notify_progress(notice).await;
                }
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(ms)) => {}
                    () = context.ct.cancelled() => self.count("wait cancelled"),
                }
                reply(format!("waited {ms} ms"))
            }
            "fail" => CallToolResult::error(vec![ContentBlock::text(text("message"))]),
            "big" => {
                let bytes = args
                    .get("bytes")
                    .and_then(Value::as_u64)
                    .unwrap_or_default()
                    .min(BIG_BYTES_MAX);
                reply("x".repeat(usize::try_from(bytes).unwrap_or_default()))
            }
            "crash" => std::process::exit(3),
            "notes.add" => self.add_note(text("text")),
            "notes.list" => {
                let notes = self.notes.lock();
                let all: Vec<Value> = notes
                    .iter()
                    .zip(1..)
                    .map(|(text, id)| json!({"id": id, "text": text}))
                    .collect();
                CallToolResult::structured(json!({"notes": all}))
            }
            "grown" if self.grown.load(Ordering::Relaxed) => reply("here I am".to_owned()),
            _ => match name.strip_prefix("item_").and_then(|number| number.parse::<u32>().ok()) {
                Some(number) if number <= self.options.tools => reply(number.to_string()),
                _ => return Err(ErrorData::method_not_found::<CallToolRequestMethod>()),
            },
        })
    }

    fn add_note(&self, text: &str) -> CallToolResult {
        let mut notes = self.notes.lock();
        if notes.len() == NOTES_MAX {
            return CallToolResult::error(vec![ContentBlock::text(format!(
                "there are {NOTES_MAX} notes already"
            ))]);
        }
        notes.push(text.to_owned());
        CallToolResult::structured(json!({"id": notes.len()}))
    }
}
