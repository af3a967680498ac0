//! `airlock upstreams add`: looks at what is to be added, connects to it, shows what it found, and
//! only then writes it to the configuration. Never a secret.

use clap::Args;
use serde_json::json;
use url::Url;

use super::{
    copies::copy_of,
    draft::{Credential, Draft, Kind},
    file::Change,
    keeper::Keeper,
    names::{free_name, name_of_command, name_of_host},
    options::{UpstreamOptions, absolute, program},
    target::{self, Target},
    template::Template,
    trial::{Finding, candidate, remedy, trial},
    url::{is_local, shown},
    write::write,
};
use crate::{
    app::{self, Failure},
    catalog::{Detected, DocumentKind},
    cli::{
        args::Output,
        running,
        screen::{Spinner, print, print_json},
        terminal::confirmed,
    },
    config::{Config, Upstream},
};

/// Names of OpenAPI documents that say nothing.
const IDLE_NAMES: [&str; 8] =
    ["openapi", "swagger", "api", "spec", "schema", "index", "openapi-v3", "api-docs"];

/// Arguments of `upstreams add`.
#[derive(Debug, Args)]
pub(in crate::cli) struct AddArgs {
    /// A URL, the file of an OpenAPI document, or the program of an MCP server
    #[arg(required_unless_present = "command", value_name = "URL|FILE|PROGRAM")]
    target: Option<String>,
    /// The program of an MCP server and its arguments: `-- npx -y PACKAGE`
    #[arg(last = true, conflicts_with = "target")]
    command: Vec<String>,
    #[command(flatten)]
    options: UpstreamOptions,
    /// Write it without connecting to it
    #[arg(long, visible_alias = "force")]
    no_check: bool,
    /// Add it also if the same server is configured already
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: Output,
}

/// The upstream as it was found out.
struct Known {
    draft: Draft,
    /// A name to make its own from.
    made: String,
    /// Credential that its document asks for, as a phrase.
    credential: Option<String>,
}

/// Performs the command.
pub(super) async fn perform(args: AddArgs, config: &Config) -> Result<(), Failure> {
    let Known { mut draft, made, credential } = known(&args, config).await?;
    let taken = |name: &str| config.upstreams.iter().any(|upstream| upstream.name == name);
    if let Some(name) = args.options.name.as_ref().filter(|name| taken(name)) {
        return Err(Failure::other(format!("there is an upstream `{name}` already"))
            .hint("choose another name with `--name`"));
    }
    draft.name = args.options.name.clone().unwrap_or_else(|| free_name(&made, taken));
    let mut keeper = Keeper::new(config);
    let table = draft.table(&mut keeper)?;
    let change = Change::begin(config)?.with(&draft.name, table)?;
    let candidate = candidate(config, &change, &[&draft.name])?;
    if let Some(new) = candidate.upstreams.first() {
        refuse_copy(&args, config, new).await?;
    }
    // Without a login there is nothing to see, and the login needs the upstream to be written.
    let finding = match args.no_check || draft.auth == Some(Credential::OAuth) {
        true => None,
        false => Some(checked(trial(&candidate, &keeper).await?.remove(&draft.name))?),
    };
    let change = write(config, &[&draft], &mut keeper)?;
    report(&args, &change, &draft, finding.as_ref(), credential.as_deref(), &keeper)?;
    if !args.output.json {
        running::note_change(config).await;
    }
    Ok(())
}

/// What was found, if it can be used.
fn checked(finding: Option<Finding>) -> Result<Finding, Failure> {
    let unusable = |reason: &str| {
        Failure::unavailable(format!("it cannot be used, so nothing was written: {reason}"))
            .hint(remedy(reason))
    };
    match finding {
        Some(finding) if finding.is_ready => Ok(finding),
        Some(finding) => Err(unusable(finding.reason())),
        None => Err(unusable("its configuration is not complete")),
    }
}

async fn refuse_copy(args: &AddArgs, config: &Config, new: &Upstream) -> Result<(), Failure> {
    let Some(copy) = copy_of(config, new).filter(|_| !args.yes) else { return Ok(()) };
    let question = format!("the upstream `{}` is this server already; add it again?", copy.name);
    match confirmed(&question).await? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::other("nothing was written")),
        None => Err(Failure::other(format!(
            "the upstream `{}` is this server already, so nothing was written",
            copy.name
        ))
        .hint(
            "`--yes` adds it a second time; for another account at the same service, write a table \
            `accounts` in the upstream instead",
        )),
    }
}

fn report(
    args: &AddArgs,
    change: &Change,
    draft: &Draft,
    finding: Option<&Finding>,
    credential: Option<&str>,
    keeper: &Keeper,
) -> Result<(), Failure> {
    let name = &draft.name;
    let wants_oauth = draft.auth == Some(Credential::OAuth);
    let wanted = credential.filter(|_| !draft.has_credential());
    if args.output.json {
        let mut answer = json!({
            "id": name, "status": "added", "kind": change.kind_of(name),
            "file": change.path().display().to_string(), "secrets": keeper.names()
        });
        if let Some(finding) = finding {
            answer["tools"] = finding.tools.len().into();
        }
        if wants_oauth || wanted.is_some() {
            answer["wants"] = wanted.unwrap_or("OAuth").into();
        }
        return print_json(&answer);
    }
    if let Some(finding) = finding {
        print(format!("found {}", finding.summary(name)))?;
        finding.message.iter().try_for_each(|message| print(format!("  {message}")))?;
    }
    match (wanted, draft.has_credential()) {
        (Some(wanted), _) => print(format!(
            "it wants {wanted}: set `auth` in its table, or add it with `--bearer-env NAME` or \
            `--header 'NAME: VALUE'`"
        ))?,
        (None, false) if finding.is_some() && draft.command.is_none() => {
            print("it asked for no credential")?;
        }
        _ => {}
    }
    change.show()?;
    for secret in keeper.names() {
        print(format!("the secret `{secret}` is stored encrypted; the file refers to it"))?;
    }
    if wants_oauth {
        print(format!("it needs OAuth; allow it in a browser: airlock upstreams login {name}"))?;
    } else {
        print(format!("check it at any time: airlock upstreams check {name}"))?;
    }
    Ok(())
}

/// Finds out what is to be added.
async fn known(args: &AddArgs, config: &Config) -> Result<Known, Failure> {
    let target = match &args.target {
        Some(word) => target::of_word(word)?,
        None => target::of_program(args.command.clone())?,
    };
    let options = &args.options;
    match target {
        Target::Program(words) => {
            if let Some(kind) = options.kind.filter(|kind| *kind != Kind::Mcp) {
                let message = format!(
                    "`{}` is a program, and an upstream of kind \"{}\" is a service with a URL",
                    words[0],
                    kind.as_str()
                );
                return Err(Failure::other(message).hint("give its URL, https://…"));
            }
            let mut draft = Draft::default();
            program(&words, &mut draft);
            options.apply(&mut draft)?;
            Ok(Known { draft, made: name_of_command(&words), credential: None })
        }
        Target::Document(path, kind) => document(options, &path, kind),
        Target::Url(url) => service(args, &url, config).await,
    }
}

/// A document in a file.
fn document(
    options: &UpstreamOptions,
    path: &std::path::Path,
    kind: DocumentKind,
) -> Result<Known, Failure> {
    let mut draft = Draft { spec: Some(path.display().to_string()), ..Draft::default() };
    let base = options.base(&mut draft)?;
    draft.allow_private = base.as_ref().is_some_and(is_local);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let (kind, made, credential) = match kind {
        DocumentKind::OpenApi { title, credential } => {
            draft.base_url = base;
            let is_idle = IDLE_NAMES.contains(&stem.to_ascii_lowercase().as_str());
            let made = title.filter(|_| is_idle).map_or(stem, |title| title.to_lowercase());
            (Kind::Openapi, made, credential)
        }
        DocumentKind::GraphQl => {
            let shown = path.display();
            draft.url = Some(base.ok_or_else(|| {
                Failure::other(format!(
                    "`{shown}` is a GraphQL schema, which does not say where its service is"
                ))
                .hint(format!("airlock upstreams add https://HOST/graphql --spec {shown}"))
            })?);
            (Kind::Graphql, stem, None)
        }
    };
    if let Some(wanted) = options.kind.filter(|wanted| *wanted != kind) {
        return Err(Failure::other(format!(
            "`{}` is a document of kind \"{}\", not \"{}\"",
            path.display(),
            kind.as_str(),
            wanted.as_str()
        )));
    }
    draft.kind = kind;
    options.apply(&mut draft)?;
    Ok(Known { draft, made, credential })
}

/// A service at a URL.
async fn service(args: &AddArgs, text: &Template, config: &Config) -> Result<Known, Failure> {
    let options = &args.options;
    let mut draft = Draft::default();
    let url = draft.service(text)?;
    let base = options.base(&mut draft)?;
    draft.allow_private = is_local(&url) || base.as_ref().is_some_and(is_local);
    let made = name_of_host(base.as_ref().unwrap_or(&url));
    let mut credential = None;
    let kind = if let Some(spec) = &options.spec {
        let found = spec_kind(spec)?;
        draft.spec = Some(if spec.contains("://") { spec.clone() } else { absolute(spec)? });
        if let Some(DocumentKind::OpenApi { credential: wanted, .. }) = &found {
            credential.clone_from(wanted);
        }
        let of_spec = match found {
            Some(DocumentKind::GraphQl) => Kind::Graphql,
            _ => Kind::Openapi,
        };
        options.kind.unwrap_or(of_spec)
    } else if args.no_check || (base.is_some() && options.kind.is_none()) {
        options.kind.unwrap_or_else(|| guessed(&url, base.is_some()))
    } else {
        options.apply(&mut draft.clone())?;
        let (kind, wanted) = found_out(args, &url, &mut draft, config).await?;
        credential = wanted;
        kind
    };
    draft.kind = kind;
    match (kind, draft.spec.is_some()) {
        (Kind::Openapi, true) => draft.base_url = Some(base.unwrap_or(url)),
        (Kind::Openapi, false) => {
            draft.spec = Some(url.to_string());
            draft.base_url = base;
        }
        (Kind::Mcp | Kind::Graphql, _) => draft.url = Some(url),
    }
    options.apply(&mut draft)?;
    Ok(Known { draft, made, credential })
}

/// What the document of `--spec` is; none for one at a URL, which is read when it is connected.
fn spec_kind(spec: &str) -> Result<Option<DocumentKind>, Failure> {
    if spec.contains("://") {
        return Ok(None);
    }
    match target::of_word(spec)? {
        Target::Document(_, kind) => Ok(Some(kind)),
        Target::Url(_) | Target::Program(_) => {
            Err(Failure::other("`--spec` is neither an OpenAPI document nor a GraphQL schema"))
        }
    }
}

/// The protocol of a URL that is not asked.
fn guessed(url: &Url, has_base: bool) -> Kind {
    let path = url.path().to_ascii_lowercase();
    let is_document = [".json", ".yaml", ".yml"].iter().any(|ending| path.ends_with(ending));
    if has_base || is_document || path.contains("openapi") || path.contains("swagger") {
        Kind::Openapi
    } else if path.contains("graphql") {
        Kind::Graphql
    } else {
        Kind::Mcp
    }
}

/// Asks a URL for its protocol: first as a stranger, then with the credential. One that is private
/// is asked too, because its owner named it.
async fn found_out(
    args: &AddArgs,
    url: &Url,
    draft: &mut Draft,
    config: &Config,
) -> Result<(Kind, Option<String>), Failure> {
    let spinner =
        Spinner::start(&format!("asking {} for its protocol", url.origin().ascii_serialization()));
    let allowed = draft.allow_private || args.options.allow_private;
    let mut detected = app::detect(url, allowed).await;
    if !allowed && detected.as_ref().is_err_and(|why| why.contains("allow_private")) {
        draft.allow_private = true;
        detected = app::detect(url, true).await;
    }
    let mut known = Draft { kind: Kind::Mcp, url: Some(url.clone()), ..draft.clone() };
    args.options.apply(&mut known)?;
    if detected.is_err() && known.has_credential() {
        known.name = "detect".into();
        let mut keeper = Keeper::new(config);
        let table = known.table(&mut keeper)?;
        let name = free_name("detect", |name| config.upstreams.iter().any(|one| one.name == name));
        let change = Change::begin(config)?.with(&name, table)?;
        let candidate = candidate(config, &change, &[&name])?;
        detected = app::detect_as(url, &candidate, &keeper.values()).await;
    }
    drop(spinner);
    let (kind, credential) = match (detected, args.options.kind) {
        (Ok(Detected::Mcp { wants_oauth }), _) => {
            if wants_oauth && !known.has_credential() {
                draft.auth = Some(Credential::OAuth);
            }
            (Kind::Mcp, None)
        }
        (Ok(Detected::OpenApi { credential, .. }), _) => (Kind::Openapi, credential),
        (Ok(Detected::GraphQl), _) => (Kind::Graphql, None),
        // The owner knows better; connecting tells whether it is so.
        (Err(_), Some(kind)) => (kind, None),
        (Err(why), None) => {
            let message = format!("cannot find out the protocol of `{}`: {why}", shown(url));
            return Err(Failure::unavailable(message).hint(format!(
                "check the URL, or name it with `--kind mcp`, `--kind openapi` or `--kind \
                graphql`; {}",
                remedy(&why)
            )));
        }
    };
    Ok((args.options.kind.unwrap_or(kind), credential))
}
