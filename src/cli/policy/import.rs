//! `airlock policy import`: a file of another system as one of ours, on standard output; the
//! mapping beside it, on standard error.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::files;
use crate::{
    app::Failure,
    base::plural::counted,
    cli::args::OUTPUT,
    cli::screen::{self, dim, note, print, print_json},
    config::Config,
    policy::{
        Layer, LayerScope, Options, Policy, Problem,
        import::{Dialect, ImportOptions, Imported, import},
    },
};

/// The arguments of `policy import`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The system that the file was written for
    #[arg(value_enum)]
    kind: Kind,
    /// The file; `-` for standard input
    file: PathBuf,
    /// The upstream whose tools the file means, if it names tools without their upstream
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Leave out what cannot be imported, and list it, instead of refusing the file
    #[arg(long)]
    compat_warn: bool,
    /// Write files into this folder instead of standard output; needed if one file becomes several
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Print JSON: the files, the map and the warnings
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

/// The forms that are known.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// POLICY.md of Intercept, and what PolicyLayer's website prints
    Intercept,
    /// PolicyLayer's JSON
    #[value(name = "policylayer")]
    PolicyLayer,
    /// Rows of Executor
    Executor,
    /// The permissions of Claude Code
    ClaudeCode,
}

impl Kind {
    fn dialect(self) -> Dialect {
        match self {
            Self::Intercept => Dialect::Intercept,
            Self::PolicyLayer => Dialect::PolicyLayer,
            Self::Executor => Dialect::Executor,
            Self::ClaudeCode => Dialect::ClaudeCode,
        }
    }
}

/// Reads, converts, loads what was made, prints.
pub(super) fn perform(args: &ImportArgs, config: &Config) -> Result<ExitCode, Failure> {
    if let Some(name) = args
        .upstream
        .as_ref()
        .filter(|name| !config.upstreams.iter().any(|upstream| upstream.name == **name))
    {
        let known: Vec<_> =
            config.upstreams.iter().map(|upstream| format!("`{}`", upstream.name)).collect();
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        };
        // It may be added later: the policy is made all the same.
        note(format!(
            "warning: the configuration has no upstream `{name}` ({known}); until it has one, the \
            policy matches no tool"
        ));
    }
    let text = files::read(&args.file)?;
    let name = args.file.display().to_string();
    let options =
        ImportOptions { upstream: args.upstream.as_deref(), compat_warn: args.compat_warn };
    let imported = import(args.kind.dialect(), &name, &text, options)
        .and_then(|imported| loads(&imported).map(|()| imported));
    let imported = match imported {
        Ok(imported) => imported,
        Err(problems) => return refuse(&problems, args.json),
    };
    report(&imported, &name);
    let stem = args
        .file
        .file_stem()
        .map_or_else(|| "policy".into(), |stem| stem.to_string_lossy().into_owned());
    match (&args.output, imported.layers.as_slice()) {
        (Some(folder), layers) => {
            for layer in layers {
                let file = match layers.len() {
                    1 => format!("{stem}.policy.yaml"),
                    _ => format!("{stem}.{}.policy.yaml", layer.owner),
                };
                write(&folder.join(file), &layer.text)?;
            }
        }
        (None, _) if args.json => print_json(&as_json(&imported))?,
        (None, [layer]) => print(layer.text.trim_end())?,
        (None, layers) => {
            let owners: Vec<_> = layers.iter().map(|layer| layer.owner.as_str()).collect();
            return Err(Failure::other(format!(
                "`{name}` becomes several files: {}",
                owners.join(", ")
            ))
            .hint("name a folder for them: `--output FOLDER`"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that the result is a policy. If it were not, the bug would be ours, and nobody should
/// find it in production.
fn loads(imported: &Imported) -> Result<(), Vec<Problem>> {
    let layers = imported.layers.iter().map(|layer| Layer {
        scope: LayerScope::Organisation,
        name: format!("what was made of {}", layer.owner),
        upstream: None,
        text: layer.text.clone(),
    });
    Policy::load(layers.collect(), Options { approvals: true, ..Options::default() }).map(drop)
}

fn refuse(problems: &[Problem], json: bool) -> Result<ExitCode, Failure> {
    if json {
        print_json(&json!({ "status": "refused", "problems": problems }))?;
        return Ok(ExitCode::FAILURE);
    }
    // Standard output holds a policy or nothing.
    problems.iter().for_each(|problem| note(screen::plain(&problem.to_string())));
    Err(Failure::other(format!(
        "{} of the file cannot be imported; nothing was written",
        count(problems.len())
    ))
    .hint("correct the file, or leave these out with `--compat-warn`, which lists them"))
}

fn count(problems: usize) -> String {
    counted(problems, "part")
}

fn report(imported: &Imported, name: &str) {
    for one in &imported.mappings {
        let at = one.position;
        let line = format!("{name}:{}:{}: {} → {}", at.line, at.column, one.source, one.target);
        note(dim(screen::plain(&line)).for_stderr().to_string());
    }
    for warning in &imported.warnings {
        note(format!("warning: {}", screen::plain(&warning.to_string())));
    }
}

fn as_json(imported: &Imported) -> Value {
    let layers: Vec<_> = imported
        .layers
        .iter()
        .map(|layer| json!({ "id": layer.owner, "text": layer.text }))
        .collect();
    let carried = imported.mappings.iter();
    let map: Vec<_> = carried
        .map(|one| {
            json!({
                "line": one.position.line, "column": one.position.column, "theirs": one.source,
                "ours": one.target
            })
        })
        .collect();
    json!({ "status": "imported", "files": layers, "map": map, "warnings": imported.warnings })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let unwritable = |error: std::io::Error| {
        let taken = error.kind() == std::io::ErrorKind::AlreadyExists;
        let failure = Failure::other(format!("`{}` cannot be written: {error}", path.display()));
        if taken {
            failure.hint("what is there is not overwritten; name another folder")
        } else {
            failure
        }
    };
    let mut file = std::fs::File::create_new(path).map_err(unwritable)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(unwritable)?;
    print(path.display().to_string())
}
