//! `airlock secrets`: the encrypted store. A value comes from a prompt or from standard input,
//! never as an argument, which other users of the machine could read; and none is ever shown.

use std::{
    io::{IsTerminal, Read},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use console::Term;
use serde_json::json;

use super::{
    args::Output,
    screen::{dim, note, print, print_json},
};
use crate::{
    app::{self, Failure},
    catalog::{VALUE_BYTES_MAX, Vault, VaultError},
    config::Config,
};

/// The commands on secrets.
#[derive(Debug, Subcommand)]
pub(super) enum SecretsCommand {
    /// Store a secret; its value is prompted for, or read from standard input
    Set(NameArgs),
    /// List the names of the secrets
    List(Output),
    /// Remove a secret
    Remove(NameArgs),
}

/// Arguments of a command on one secret.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The secret's name, as in `{ secret = "NAME" }` in the configuration
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Performs the command.
pub(super) fn perform(command: SecretsCommand, config: &Config) -> Result<ExitCode, Failure> {
    let vault = app::vault(config);
    match command {
        SecretsCommand::Set(args) => set(&vault, &args)?,
        SecretsCommand::List(output) => list(&vault, output)?,
        SecretsCommand::Remove(args) => {
            vault.remove(&args.name).map_err(|error| match error {
                // Its own text says how a secret that is wanted is set.
                VaultError::Absent(name) => {
                    Failure::other(format!("there is no secret `{name}` to remove"))
                        .hint("`airlock secrets list` lists the secrets")
                }
                other => failure(&other),
            })?;
            report(&args, "removed", &format!("secret `{}` is removed", args.name))?;
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
    report(
        args,
        "set",
        &format!("secret `{}` is stored; refer to it as {{ secret = \"{0}\" }}", args.name),
    )
}

fn report(args: &NameArgs, status: &str, text: &str) -> Result<(), Failure> {
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
    let secrets = vault.list().map_err(|error| failure(&error))?;
    if output.json {
        let all = secrets
            .iter()
            .map(|secret| json!({ "id": secret.name, "status": "set", "changed": secret.changed }));
        return print_json(&all.collect());
    }
    if secrets.is_empty() {
        note("no secrets; `airlock secrets set NAME` stores one");
    }
    secrets.iter().try_for_each(|secret| {
        print(format!("{:<32} {}", secret.name, dim(secret.changed.strftime("%F %T UTC"))))
    })
}

pub(super) fn failure(error: &VaultError) -> Failure {
    let hint = match error {
        VaultError::KeyIsOpen(path) => {
            format!("let only its owner read it: chmod 600 {}", path.display())
        }
        VaultError::KeyIsMissing(_) => {
            "restore the key (`secrets.key_file`); without it the secrets are lost: remove \
            the store's file to start over"
                .into()
        }
        VaultError::Sealed(_) => "name the right key in `secrets.key_file` or `secrets.key_env`, \
            or set the secret again"
            .into(),
        VaultError::BadKey(_) => {
            "32 random bytes in base64: head -c 32 /dev/urandom | base64".into()
        }
        VaultError::Absent(_) => "`airlock secrets list` lists the secrets".into(),
        _ => return Failure::other(error.to_string()),
    };
    Failure::other(error.to_string()).hint(hint)
}
