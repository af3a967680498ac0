//! `airlock open`: signs the owner's browser in.
//!
//! The link is a secret until it is used. Other users of the machine can read the arguments of a
//! program, so the browser is started with a page that only the owner can read and that leads to
//! the link.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use clap::Args;
use serde_json::json;
use tokio::{process::Command, time::timeout};

use super::{
    args::OUTPUT,
    connection::Connection,
    screen::{dim, note, print, print_json},
};
use crate::{
    app::Failure,
    base::instance::Instance,
    config::{Config, Environment, ProcessEnvironment},
};

/// The program that opens a file with what the desktop has for it.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// Variables of which a Linux desktop sets one.
const DESKTOP: [&str; 2] = ["DISPLAY", "WAYLAND_DISPLAY"];
/// Time in which the program fails if it does. One that goes on has found a browser.
const FAILS_WITHIN: Duration = Duration::from_secs(3);

/// Arguments of `open`.
#[derive(Debug, Args)]
pub(super) struct OpenArgs {
    /// Print the link, and open nothing
    #[arg(long, help_heading = OUTPUT)]
    print: bool,
    /// Print the link as JSON, and open nothing
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// Opens the running server's pages in a browser; prints a link where there is none.
pub(super) async fn perform(args: OpenArgs, config: &Config) -> Result<ExitCode, Failure> {
    let connection = Connection::required(config, "only a running server has pages").await?;
    let stays = Instance::find(&config.store.instance_file())
        .ok()
        .flatten()
        .is_none_or(|instance| instance.lasting);
    let (url, expires_at) = connection.client.sign_in().await?;
    if args.json {
        print_json(&json!({ "url": url, "expiresAt": expires_at }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let refused = match args.print {
        true => None,
        false => open(&url, &config.store.sign_in_page()).await.err(),
    };
    let quiet = |text: &str| note(dim(text).for_stderr().to_string());
    if args.print || refused.is_some() {
        if let Some(why) = refused {
            note(why);
        }
        print(&url)?;
        quiet("open it in a browser on this machine; it works once, within five minutes");
    } else {
        note("opened in your browser");
        quiet("if it shows nothing, `airlock open --print` prints a link");
    }
    if !stays {
        note(
            "this server stops when the command or the client that started it ends; `airlock \
            serve` starts one that stays",
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the link in a browser.
///
/// # Errors
/// The reason why it cannot be.
async fn open(url: &str, page: &Path) -> Result<(), String> {
    let variables = ProcessEnvironment.variables();
    let is_set = |name: &&str| variables.get(*name).is_some_and(|value| !value.is_empty());
    if !cfg!(target_os = "macos") && !DESKTOP.iter().any(is_set) {
        let [x11, wayland] = DESKTOP;
        return Err(format!("there is no desktop here: neither {x11} nor {wayland} is set"));
    }
    write(page, url).map_err(|error| format!("`{}` cannot be written: {error}", page.display()))?;
    let mut command = Command::new(OPENER);
    command.arg(page).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        command.spawn().map_err(|error| format!("`{OPENER}` cannot be started: {error}"))?;
    match timeout(FAILS_WITHIN, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(format!("`{OPENER}` failed with {status}")),
        Ok(Err(error)) => Err(format!("`{OPENER}` cannot be waited for: {error}")),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Writes the page that leads to the link, for the owner alone. It replaces that of the last link.
fn write(page: &Path, url: &str) -> io::Result<()> {
    let text = maud::html! {
        (maud::DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="referrer" content="no-referrer";
                meta http-equiv="refresh" content={ "0; url=" (url) };
                title { "Airlock" }
            }
            body { p { a href=(url) { "Sign in to Airlock" } } }
        }
    };
    match fs::remove_file(page) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(page)?;
    file.write_all(text.into_string().as_bytes())
}
