//! `airlock secrets`: the encrypted store. A value comes from a prompt or from standard input,
//! never as an argument, which other users of the machine could read; and none is ever shown.

use std::{
    io::{IsTerminal, Read},
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, Subcommand};
use console::Term;
use serde_json::json;

use super::{
    Application, Failure, Output,
    screen::{dim, note, print, print_json},
};
use crate::{
    catalog::{VALUE_BYTES_MAX, Vault, VaultError},
    config::Config,
};

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub(super) enum SecretsCommand {
    /// Keep a secret; its value is asked for, or read from standard input
    Set(NameArgs),
    /// List the names of the secrets
    List(Output),
    /// Remove a secret
    Remove(NameArgs),
}

/// Which secret.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// Its name, as `{ secret = "NAME" }` in the configuration refers to it
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Does it.
pub(super) fn perform(
    command: SecretsCommand,
    config: &Config,
    application: &Arc<dyn Application>,
) -> Result<ExitCode, Failure> {
    let vault = application.vault(config);
    match command {
        SecretsCommand::Set(args) => set(&vault, &args)?,
        SecretsCommand::List(output) => list(&vault, output)?,
        SecretsCommand::Remove(args) => {
            vault.remove(&args.name).map_err(|error| failure(&error))?;
            told(&args, "removed", &format!("secret `{}` is removed", args.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn set(vault: &Vault, args: &NameArgs) -> Result<(), Failure> {
    // A colon marks what OAuth keeps; a value of the owner's there would be taken for tokens.
    if args.name.contains(':') {
        return Err(failure(&VaultError::Name(args.name.clone())));
    }
    let value = value(&args.name)?;
    vault.set(&args.name, &value).map_err(|error| failure(&error))?;
    told(
        args,
        "set",
        &format!("secret `{}` is kept; refer to it as {{ secret = \"{0}\" }}", args.name),
    )
}

fn told(args: &NameArgs, status: &str, text: &str) -> Result<(), Failure> {
    if args.output.json {
        print_json(&json!({ "id": args.name, "status": status }))
    } else {
        print(text)
    }
}

fn value(name: &str) -> Result<String, Failure> {
    let unread =
        |error: std::io::Error| Failure::other(format!("the value cannot be read: {error}"));
    if std::io::stdin().is_terminal() {
        let term = Term::stderr();
        term.write_str(&format!("value of `{name}` (not shown): ")).map_err(unread)?;
        return term.read_secure_line().map_err(unread);
    }
    let mut text = String::new();
    // One more than is allowed, so that what is too long is noticed rather than cut.
    std::io::stdin().take(VALUE_BYTES_MAX as u64 + 3).read_to_string(&mut text).map_err(unread)?;
    Ok(text
        .strip_suffix('\n')
        .map(|text| text.strip_suffix('\r').unwrap_or(text))
        .unwrap_or(&text)
        .to_owned())
}

fn list(vault: &Vault, output: Output) -> Result<(), Failure> {
    let kept = vault.list().map_err(|error| failure(&error))?;
    if output.json {
        let all = kept
            .iter()
            .map(|kept| json!({ "id": kept.name, "status": "set", "changed": kept.changed }));
        return print_json(&all.collect());
    }
    if kept.is_empty() {
        note("no secrets; `airlock secrets set NAME` keeps one");
    }
    kept.iter().try_for_each(|kept| {
        print(format!("{:<32} {}", kept.name, dim(kept.changed.strftime("%F %T UTC"))))
    })
}

fn failure(error: &VaultError) -> Failure {
    let hint = match error {
        VaultError::KeyIsOpen(path) => {
            format!("make it its owner's alone: chmod 600 {}", path.display())
        }
        VaultError::KeyIsMissing(_) => {
            "bring the key back (`secrets.key_file`); without it what was kept is lost: remove \
            the store's file to begin anew"
                .into()
        }
        VaultError::Sealed(_) => "name the right key in `secrets.key_file` or `secrets.key_env`, \
            or set the secret anew"
            .into(),
        VaultError::BadKey(_) => {
            "32 random bytes in base64: head -c 32 /dev/urandom | base64".into()
        }
        VaultError::Absent(_) => "`airlock secrets list` tells which there are".into(),
        _ => return Failure::other(error.to_string()),
    };
    Failure::other(error.to_string()).hint(hint)
}
