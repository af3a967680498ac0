//! `airlock __mcp-call`: one tool call through a real MCP client, for demonstrations and checks on
//! machines that have no other.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use rmcp::{
    ServiceExt,
    model::{CallToolRequestParams, CallToolResult},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};

use super::{
    args::{OUTPUT, json_option},
    client,
    screen::{self, Spinner, print, print_json},
};
use crate::app::Failure;

/// Time limit of a call.
const CALL_WITHIN: Duration = Duration::from_secs(900);

/// The arguments of `__mcp-call`.
#[derive(Debug, Args)]
pub(super) struct McpCallArgs {
    /// The server's endpoint
    url: String,
    /// The tool
    tool: String,
    /// The arguments, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// A file that becomes the argument `code`
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// Print the whole answer as JSON instead of its text
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// Connects, calls, prints. Exits with 1 where the tool says that it failed.
pub(super) async fn perform(args: &McpCallArgs) -> Result<ExitCode, Failure> {
    let parsed: Value = json_option("--args", &args.args)?;
    let Value::Object(mut arguments) = parsed else {
        return Err(Failure::other("`--args` must be a JSON object"));
    };
    if let Some(file) = &args.code_file {
        let code = std::fs::read_to_string(file);
        let code = code.map_err(|error| {
            Failure::other(format!("`{}` cannot be read: {error}", file.display()))
        })?;
        arguments.insert("code".into(), code.into());
    }
    let spinner = Spinner::start("calling");
    let request = CallToolRequestParams::new(args.tool.clone()).with_arguments(arguments);
    let called = tokio::time::timeout(CALL_WITHIN, call(&args.url, request)).await;
    drop(spinner);
    let answer = called.map_err(|_| {
        Failure::unavailable(format!("no answer within {} s", CALL_WITHIN.as_secs()))
    })??;
    if args.json {
        print_json(&json!(answer))?;
    } else {
        let texts = answer.content.iter().filter_map(|block| block.as_text());
        texts.into_iter().try_for_each(|text| print(screen::plain(&text.text)))?;
    }
    Ok(if answer.is_error == Some(true) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn call(url: &str, request: CallToolRequestParams) -> Result<CallToolResult, Failure> {
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let transport = StreamableHttpClientTransport::with_client(client::http_client()?, config);
    let connected = ().serve(transport).await;
    let client = connected.map_err(|error| {
        Failure::unavailable(format!("`{url}` does not answer as an MCP server: {error}"))
    })?;
    let answer = client
        .call_tool(request)
        .await
        .map_err(|error| Failure::other(format!("the call failed: {error}")));
    // The answer is here; a connection that closes badly takes nothing from it.
    client.cancel().await.ok();
    answer
}
