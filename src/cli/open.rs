//! `airlock open`: a link that signs the owner's browser in.

use std::process::ExitCode;

use serde_json::json;

use super::{
    Failure, Output,
    connection::Connection,
    screen::{dim, note, print, print_json},
};
use crate::config::Config;

/// Prints a link to the running server's pages.
pub(super) async fn perform(output: Output, config: &Config) -> Result<ExitCode, Failure> {
    let Some(connection) = Connection::running(config).await? else {
        return Err(Failure::unavailable("no server runs on this database").hint("start one: `airlock serve`"));
    };
    let (url, expires_at) = connection.client.sign_in().await?;
    match output.json {
        true => print_json(&json!({ "url": url, "expiresAt": expires_at }))?,
        false => {
            print(&url)?;
            note(dim("open it in a browser on this machine; it works once, within five minutes").for_stderr().to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}
