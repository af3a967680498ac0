//! The keychain of the operating system, through the program that comes with it: `secret-tool`
//! (freedesktop's secret service) on Linux, `security` on macOS. A program rather than a library,
//! so that no bus client becomes part of this process.

use std::{process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt, process::Command};

use super::vault::VALUE_BYTES_MAX;

/// Longest wait for the keychain; a locked one may ask its owner.
const ANSWER_MAX: Duration = Duration::from_secs(30);

#[cfg(target_os = "macos")]
fn question(service: &str, account: &str) -> (&'static str, Vec<String>) {
    let args = ["find-generic-password", "-s", service, "-a", account, "-w"];
    ("security", args.map(str::to_owned).to_vec())
}

#[cfg(not(target_os = "macos"))]
fn question(service: &str, account: &str) -> (&'static str, Vec<String>) {
    let args = ["lookup", "service", service, "account", account];
    ("secret-tool", args.map(str::to_owned).to_vec())
}

/// The value that the keychain has for an account of a service.
pub(super) async fn look_up(service: &str, account: &str) -> Result<String, String> {
    let (program, args) = question(service, account);
    ask(program, &args)
        .await
        .map_err(|why| format!("the keychain has no value for `{service}/{account}`: {why}"))
}

async fn ask(program: &str, args: &[String]) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("the program `{program}` is not installed"),
        _ => format!("the program `{program}` cannot be started: {error}"),
    })?;
    let answer = async {
        let mut text = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = stdout.take(VALUE_BYTES_MAX as u64);
            stdout
                .read_to_string(&mut text)
                .await
                .map_err(|_| format!("the output of `{program}` is not text"))?;
        }
        let status = child
            .wait()
            .await
            .map_err(|error| format!("the output of `{program}` is lost: {error}"))?;
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        match status.success() && !text.is_empty() {
            true => Ok(text),
            false => Err("there is no such entry, or it is locked".to_owned()),
        }
    };
    let answered = tokio::time::timeout(ANSWER_MAX, answer).await;
    answered.unwrap_or_else(|_| {
        Err(format!("`{program}` did not answer within {} s", ANSWER_MAX.as_secs()))
    })
}

#[cfg(test)]
mod tests;
