//! `airlock open`: a link that signs the owner's browser in.

use std::process::ExitCode;

use serde_json::json;

use super::{
    args::Output,
    connection::{Connection, Need},
    screen::{dim, note, print, print_json},
};
use crate::{app::Failure, base::instance::Instance, config::Config};

/// Prints a link to the running server's pages.
pub(super) async fn perform(output: Output, config: &Config) -> Result<ExitCode, Failure> {
    let Some(connection) = Connection::running(config, Need::Record).await? else {
        let database = config.store.path.display();
        return Err(Failure::unavailable(format!(
            "no server runs on the database `{database}`, and only a server has pages"
        ))
        .hint(format!(
            "start one, which stays until you stop it: `{}`; then ask for the link again",
            serve_command(config)
        )));
    };
    let stays = Instance::find(&config.store.instance_file())
        .ok()
        .flatten()
        .is_none_or(|instance| instance.lasting);
    let (url, expires_at) = connection.client.sign_in().await?;
    match output.json {
        true => print_json(&json!({ "url": url, "expiresAt": expires_at }))?,
        false => {
            print(&url)?;
            note(
                dim("open it in a browser on this machine; it works once, within five minutes")
                    .for_stderr()
                    .to_string(),
            );
            if !stays {
                note(
                    "this server was started for one command or one client and goes with it; \
                    `airlock serve` starts one that stays",
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The command that starts a server with this configuration.
fn serve_command(config: &Config) -> String {
    let here = std::env::current_dir().ok().map(|folder| folder.join("airlock.toml"));
    // Those two are found without being named.
    let named = config
        .file
        .as_ref()
        .filter(|file| ![&here, &config.new_file].contains(&&Some((*file).clone())));
    named.map_or_else(
        || "airlock serve".into(),
        |file| format!("airlock serve --config {}", file.display()),
    )
}
