//! `airlock upstreams list`: the configured upstreams. Starts and connects nothing: a running
//! server says how they are, else what was listed last is told as such.

use std::collections::BTreeMap;

use ::url::Url;
use serde::Serialize;

use super::url::shown;
use crate::{
    app::{self, Failure},
    cli::{
        args::Output,
        connection::{Connection, Need},
        screen::{note, plain, print, print_json},
        table::{Cell, Column, Table},
    },
    config::{Config, Credential, HttpAccess, Transport, Upstream},
    model::Document,
    service::view,
};

/// The columns of the list.
const COLUMNS: [Column; 6] = [
    Column::whole("NAME"),
    Column::whole("STATUS"),
    Column::number("TOOLS"),
    Column::whole("KIND"),
    Column::whole("AUTH"),
    Column::text("AT", usize::MAX),
];

/// An upstream in the list.
#[derive(Serialize)]
struct Row<'u> {
    id: &'u str,
    /// As the running server says; `configured` where none runs.
    status: &'u str,
    kind: &'static str,
    place: String,
    auth: &'static str,
    /// Its tools: those it has, or had when it was last listed; absent where it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<usize>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Prints the list.
pub(super) async fn perform(config: &Config, output: Output) -> Result<(), Failure> {
    let health = match Connection::running(config, Need::Record).await? {
        Some(running) => running.client.health().await.ok(),
        None => None,
    };
    let configuration = health.as_ref().and_then(|health| health.configuration.as_ref());
    // The connection has told already if the server refuses the file.
    if let Some(found) = configuration.filter(|found| found.status == "restart_needed")
        && let Some(message) = &found.message
    {
        note(format!("the running server {}; everything else is in force", plain(message)));
    }
    let cached = match &health {
        Some(_) => BTreeMap::new(),
        None => app::cached_tool_counts(config)?,
    };
    let row = |upstream| row(upstream, health.as_ref(), &cached);
    let rows: Vec<_> = config.upstreams.iter().map(row).collect();
    if output.json {
        return print_json(&serde_json::to_value(&rows).expect("a row has string keys"));
    }
    if rows.is_empty() {
        note("no upstreams are configured; `airlock upstreams add URL` adds one");
        return Ok(());
    }
    let cells: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    Table::new(&COLUMNS).lines(&cells, true).iter().try_for_each(print)?;
    for Row { id, message, .. } in &rows {
        if let Some(message) = message {
            print(format!("{id}: {}", plain(message)))?;
        }
    }
    if health.is_none() {
        note(
            "no server runs, so it is not known whether they work. TOOLS is the number that each \
            listed last. `airlock upstreams check` connects to them",
        );
    }
    Ok(())
}

/// An upstream as the running server says, or as is known without one.
fn row<'u>(
    upstream: &'u Upstream,
    health: Option<&'u view::Health>,
    cached: &BTreeMap<String, usize>,
) -> Row<'u> {
    let Some(health) = health else {
        return of_configuration(upstream, cached.get(&upstream.name).copied());
    };
    of_server(upstream, health.upstreams.iter().find(|state| state.name == upstream.name))
}

fn cells(row: &Row<'_>) -> Vec<Cell> {
    let tools = row.tools.map_or_else(|| "?".into(), |tools| tools.to_string());
    vec![
        Cell::bold(row.id),
        Cell::status(row.status),
        tools.into(),
        row.kind.into(),
        row.auth.into(),
        Cell::dim(row.place.as_str()),
    ]
}

/// As the server knows it; one that it has not taken up is not known to it.
fn of_server<'u>(upstream: &'u Upstream, state: Option<&'u view::Upstream>) -> Row<'u> {
    match state {
        Some(state) => Row {
            status: &state.status,
            tools: Some(state.tools),
            message: state.message.clone(),
            ..plain_row(upstream)
        },
        None => Row {
            message: Some(
                "the running server has not taken it up; `airlock doctor` says why".into(),
            ),
            ..plain_row(upstream)
        },
    }
}

/// As the configuration and the last list of its tools say.
fn of_configuration(upstream: &Upstream, tools: Option<usize>) -> Row<'_> {
    let unset: Vec<_> = upstream
        .unset
        .iter()
        .map(|unset| {
            format!(
                "`{}` needs the environment variable `{}`, which is not set",
                unset.key, unset.variable
            )
        })
        .collect();
    let message = (!unset.is_empty()).then(|| unset.join("; "));
    Row { tools, message, ..plain_row(upstream) }
}

fn plain_row(upstream: &Upstream) -> Row<'_> {
    let (kind, place) = match &upstream.transport {
        Transport::Stdio { command, args, .. } => {
            ("mcp", [std::slice::from_ref(command), args].concat().join(" "))
        }
        Transport::Http { url } => ("mcp", shown(url)),
        Transport::OpenApi { spec, base_url, .. } => {
            let spec = match spec {
                Document::File(path) => path.display().to_string(),
                Document::Url(url) => Url::parse(url).as_ref().map_or_else(|_| url.clone(), shown),
            };
            ("openapi", base_url.as_ref().map_or(spec, shown))
        }
        Transport::GraphQl { url, .. } => ("graphql", shown(url)),
    };
    let auth = upstream.access.as_ref().map_or("none", auth);
    Row { id: &upstream.name, status: "configured", kind, place, auth, tools: None, message: None }
}

fn auth(access: &HttpAccess) -> &'static str {
    match &access.credential {
        Credential::None if access.headers.is_empty() => "none",
        Credential::None => "headers",
        Credential::ApiKeys(_) => "api_key",
        Credential::Bearer(_) => "bearer",
        Credential::Basic { .. } => "basic",
        Credential::OAuth(_) => "oauth",
    }
}
