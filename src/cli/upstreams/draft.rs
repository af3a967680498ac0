//! An upstream that is to be written: what the command line or a client's file says of it, and the
//! table of the configuration that this becomes, in which secrets are references.

use clap::ValueEnum;
use toml_edit::{Array, InlineTable, Table, Value, value};
use url::Url;

use super::{
    keeper::{Keeper, Reference},
    secret::{self, is_harmless_header, is_secret_header, is_secret_variable},
    template::{Piece, Template},
};
use crate::{
    app::Failure,
    config::{Environment, ProcessEnvironment, sounds_secret, unexpanded},
};

/// What the names of the variables begin with by which a shell gives arguments to a program.
const ARGUMENT_PREFIX: &str = "AIRLOCK_ARG_";

/// Protocols of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Kind {
    /// The Model Context Protocol
    #[default]
    Mcp,
    /// HTTP, described by OpenAPI
    Openapi,
    /// GraphQL
    Graphql,
}

impl Kind {
    /// The value of `kind`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Openapi => "openapi",
            Self::Graphql => "graphql",
        }
    }

    /// The name for people.
    pub(super) fn title(kind: &str) -> &'static str {
        match kind {
            "openapi" => "OpenAPI service",
            "graphql" => "GraphQL service",
            _ => "MCP server",
        }
    }
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A bearer token.
    Bearer(Template),
    /// User and password.
    Basic(String, Template),
    /// A key in a `header`, `query` parameter or `cookie` of that name.
    Key(&'static str, String, Template),
    /// OAuth.
    OAuth,
}

/// An upstream that is to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) command: Option<Template>,
    pub(super) args: Vec<Template>,
    pub(super) cwd: Option<String>,
    pub(super) env: Vec<(String, Template)>,
    pub(super) url: Option<Url>,
    pub(super) spec: Option<String>,
    pub(super) base_url: Option<Url>,
    pub(super) server: Option<String>,
    /// Headers that are no secrets, and those that are references already.
    pub(super) headers: Vec<(String, Template)>,
    pub(super) auth: Option<Credential>,
    pub(super) only: Vec<String>,
    pub(super) except: Vec<String>,
    pub(super) allow_private: bool,
    pub(super) trusted: bool,
    pub(super) call_timeout_ms: Option<u64>,
    pub(super) start_timeout_ms: Option<u64>,
}

impl Draft {
    /// Takes a URL apart: what is secret in it becomes the credential. Variables are allowed where
    /// a credential may be.
    pub(super) fn service(&mut self, text: &Template) -> Result<Url, Failure> {
        // Variables stand for themselves until the URL is parsed.
        let places: Vec<(String, &Piece)> = text
            .0
            .iter()
            .enumerate()
            .filter(|(_, piece)| !matches!(piece, Piece::Text(_)))
            .map(|(at, piece)| (format!("airlockvariable{at}x"), piece))
            .collect();
        let mut left = places.iter();
        let written: String = text
            .0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                _ => left.next().map_or("", |(place, _)| place),
            })
            .collect();
        let of = |value: &str| -> Template {
            let whole = places.iter().find(|(place, _)| place == value);
            whole.map_or_else(
                || Template::text(value),
                |(_, piece)| Template(vec![(*piece).clone()]),
            )
        };
        let mut url = parsed(&written)?;
        if let Some(password) = url.password().map(|password| of(&decoded(password))) {
            self.set_auth(Credential::Basic(decoded(url.username()), password))?;
        } else if !url.username().is_empty() {
            let message = "the URL contains a user name without a password, which may be a key";
            return Err(Failure::other(message)
                .hint("leave it out, and give the key with `--header 'Authorization: …'`"));
        }
        // An http URL has a host, so both can be set.
        url.set_username("").and_then(|()| url.set_password(None)).ok();
        let pairs: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.into(), value.into())).collect();
        let is_key = |(name, value): &(String, String)| {
            of(value).plain().is_none() || secret::is_secret_parameter(name, value)
        };
        let (keys, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(is_key);
        for (name, value) in &keys {
            self.set_auth(Credential::Key("query", name.clone(), of(value)))?;
        }
        if !keys.is_empty() {
            url.set_query(None);
            if !others.is_empty() {
                url.query_pairs_mut().extend_pairs(&others);
            }
        }
        let remains = |text: &str| places.iter().any(|(place, _)| text.contains(place.as_str()));
        let in_auth = match &self.auth {
            Some(Credential::Basic(user, key)) => remains(user) || key.texts().any(remains),
            Some(Credential::Key(_, _, key)) => key.texts().any(remains),
            _ => false,
        };
        if in_auth || remains(url.as_str()) {
            let message = "the URL contains a variable that is not a whole credential, and \
                variables are not expanded in URLs";
            return Err(Failure::other(message).hint("write the URL itself"));
        }
        refuse_secret_path(&url)?;
        url.set_fragment(None);
        Ok(url)
    }

    /// Takes a header: a credential where it is one.
    pub(super) fn header(&mut self, name: &str, value: Template) -> Result<(), Failure> {
        let is_authorization = name.eq_ignore_ascii_case("authorization");
        if is_authorization {
            let bearer =
                ["Bearer ", "bearer "].iter().find_map(|scheme| value.without_prefix(scheme));
            if let Some(token) = bearer.filter(|token| token.0.len() == 1) {
                return self.set_auth(Credential::Bearer(token));
            }
            let basic = value.plain().and_then(|value| value.strip_prefix("Basic "));
            if let Some((user, password)) = basic.and_then(secret::basic) {
                return self.set_auth(Credential::Basic(user, Template::text(password)));
            }
        }
        if !is_harmless_header(name) {
            refuse_beside_variables(&format!("the header `{name}`"), name, &value)?;
        }
        let is_secret = match value.plain() {
            Some(value) => is_secret_header(name, value),
            None => value.written().is_none(),
        };
        if !is_secret {
            self.headers.push((name.to_owned(), value));
            return Ok(());
        }
        self.set_auth(Credential::Key("header", name.to_owned(), value))
    }

    /// Sets the credential, of which there is one.
    pub(super) fn set_auth(&mut self, auth: Credential) -> Result<(), Failure> {
        if let Some(before) = &self.auth {
            let of = |auth: &Credential| match auth {
                Credential::Bearer(_) => "a bearer token".to_owned(),
                Credential::Basic(..) => "user and password".to_owned(),
                Credential::Key(place, name, _) => format!("the {place} `{name}`"),
                Credential::OAuth => "OAuth".to_owned(),
            };
            let message = format!(
                "there is more than one secret ({} and {}), and an upstream has only one \
                credential",
                of(before),
                of(&auth)
            );
            return Err(Failure::other(message).hint(
                "put the others into environment variables of the server and refer to them: \
                `--header 'NAME: ${VARIABLE}'`",
            ));
        }
        self.auth = Some(auth);
        Ok(())
    }

    /// True if it has a credential, or headers that may be one.
    pub(super) fn has_credential(&self) -> bool {
        self.auth.is_some() || !self.headers.is_empty()
    }

    /// The program and its arguments as text, for display and names; none if a part is unknown.
    pub(super) fn words(&self) -> Vec<String> {
        let word = |word: &Template| word.plain().unwrap_or_default().to_owned();
        self.command.iter().chain(&self.args).map(word).collect()
    }

    /// The table of the configuration.
    pub(super) fn table(&self, keeper: &mut Keeper) -> Result<Table, Failure> {
        let mut table = Table::new();
        table["kind"] = value(self.kind.as_str());
        let mut env = self.variables(keeper)?;
        if let Some(command) = &self.command {
            self.program(command, &mut table, &mut env, keeper)?;
        }
        if let Some(folder) = &self.cwd {
            table["cwd"] = value(folder);
        }
        if !env.is_empty() {
            table["env"] = value(env);
        }
        for (key, url) in [("url", &self.url), ("base_url", &self.base_url)] {
            if let Some(url) = url {
                table[key] = value(url.as_str());
            }
        }
        for (key, text) in [("spec", &self.spec), ("server", &self.server)] {
            if let Some(text) = text {
                table[key] = value(text);
            }
        }
        if !self.headers.is_empty() {
            let mut headers = InlineTable::new();
            for (name, template) in &self.headers {
                let reference = keeper.reference(&self.name, name, template, false)?;
                headers.insert(name, item(&reference));
            }
            table["headers"] = value(headers);
        }
        if let Some(auth) = &self.auth {
            table["auth"] = value(self.credential(auth, keeper)?);
        }
        for (key, patterns) in [("only", &self.only), ("except", &self.except)] {
            if !patterns.is_empty() {
                table[key] = value(patterns.iter().map(String::as_str).collect::<Array>());
            }
        }
        for (key, set) in [("allow_private", self.allow_private), ("trusted", self.trusted)] {
            if set {
                table[key] = value(true);
            }
        }
        let times = [
            ("call_timeout_ms", self.call_timeout_ms),
            ("start_timeout_ms", self.start_timeout_ms),
        ];
        for (key, ms) in times {
            if let Some(ms) = ms {
                table[key] = value(i64::try_from(ms).unwrap_or(i64::MAX));
            }
        }
        Ok(table)
    }

    fn variables(&self, keeper: &mut Keeper) -> Result<InlineTable, Failure> {
        let mut env = InlineTable::new();
        for (name, template) in &self.env {
            refuse_beside_variables(&format!("`{name}`"), name, template)?;
            let is_secret = template.plain().is_some_and(|text| is_secret_variable(name, text));
            let reference = keeper.reference(&self.name, name, template, is_secret)?;
            env.insert(name, item(&reference));
        }
        Ok(env)
    }

    fn credential(&self, auth: &Credential, keeper: &mut Keeper) -> Result<InlineTable, Failure> {
        let mut keep = |hint: &str, template: &Template| {
            keeper.reference(&self.name, hint, template, true).map(|reference| item(&reference))
        };
        Ok(match auth {
            Credential::Bearer(token) => {
                InlineTable::from_iter([("bearer", keep("TOKEN", token)?)])
            }
            Credential::Basic(user, password) => {
                let basic = InlineTable::from_iter([
                    ("user", Value::from(user)),
                    ("password", keep("PASSWORD", password)?),
                ]);
                InlineTable::from_iter([("basic", Value::InlineTable(basic))])
            }
            Credential::Key(place, name, key) => {
                let key = InlineTable::from_iter([
                    (*place, Value::from(name)),
                    ("value", keep(name, key)?),
                ]);
                InlineTable::from_iter([("api_key", Value::InlineTable(key))])
            }
            Credential::OAuth => {
                InlineTable::from_iter([("oauth", Value::InlineTable(InlineTable::new()))])
            }
        })
    }

    /// The program. Arguments with secrets in them are given by a shell, from the environment: only
    /// there can they be references.
    fn program(
        &self,
        command: &Template,
        table: &mut Table,
        env: &mut InlineTable,
        keeper: &mut Keeper,
    ) -> Result<(), Failure> {
        let untranslatable = || Failure::other("the program itself is a secret");
        let flags =
            std::iter::once("").chain(self.args.iter().map(|arg| arg.plain().unwrap_or("")));
        let args: Vec<(&str, &Template)> = flags.zip(&self.args).collect();
        for (flag, arg) in &args {
            refuse_in_argument(flag, arg)?;
        }
        if !args.iter().any(|(flag, arg)| is_secret_argument(flag, arg)) {
            table["command"] = value(command.written().ok_or_else(untranslatable)?);
            if !self.args.is_empty() {
                let args: Option<Vec<String>> = self.args.iter().map(Template::written).collect();
                let args = args.ok_or_else(untranslatable)?;
                table["args"] = value(args.iter().map(String::as_str).collect::<Array>());
            }
            return Ok(());
        }
        let mut script =
            format!("exec {}", shell_quoted(command.plain().ok_or_else(untranslatable)?)?);
        for (flag, arg) in args {
            script.push(' ');
            script.push_str(&self.shell_word(arg, flag, env, keeper)?);
        }
        table["command"] = value("sh");
        table["args"] = value(Array::from_iter(["-c", &unexpanded(&script, false)]));
        Ok(())
    }

    /// An argument as a word of a shell, with its secrets and variables from the environment.
    fn shell_word(
        &self,
        arg: &Template,
        flag: &str,
        env: &mut InlineTable,
        keeper: &mut Keeper,
    ) -> Result<String, Failure> {
        let mut word = String::new();
        let literal = |text: &str| match text {
            "" => Ok(String::new()),
            text => shell_quoted(text),
        };
        let secret = arg.plain().and_then(|text| Some((text, secret::in_argument(flag, text)?)));
        if let Some((text, (range, name))) = secret {
            let variable = self.pass(&name, &Template::text(&text[range.clone()]), env, keeper)?;
            word.push_str(&literal(&text[..range.start])?);
            word.push_str(&format!("\"${variable}\""));
            word.push_str(&literal(&text[range.end..])?);
            return Ok(word);
        }
        for piece in &arg.0 {
            let name = match piece {
                Piece::Text(text) => {
                    word.push_str(&literal(text)?);
                    continue;
                }
                Piece::Variable(name) | Piece::Secret(name) => name,
                Piece::File(_) => "secret",
            };
            let variable = self.pass(name, &Template(vec![piece.clone()]), env, keeper)?;
            word.push_str(&format!("\"${variable}\""));
        }
        Ok(if word.is_empty() { "''".to_owned() } else { word })
    }

    /// Puts a value into the environment of the program, and returns the variable: one that no
    /// program reads by itself.
    fn pass(
        &self,
        name: &str,
        template: &Template,
        env: &mut InlineTable,
        keeper: &mut Keeper,
    ) -> Result<String, Failure> {
        let base: String = name
            .trim_start_matches('-')
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let reference = item(&keeper.reference(&self.name, &base, template, true)?);
        let base = format!("{ARGUMENT_PREFIX}{base}");
        let same = |name: &str| {
            env.get(name).is_none_or(|set| set.to_string().trim() == reference.to_string().trim())
        };
        let variable = (1..)
            .map(|number| if number == 1 { base.clone() } else { format!("{base}_{number}") })
            .find(|name| same(name))
            .expect("there are more numbers than variables");
        env.insert(&variable, reference);
        Ok(variable)
    }
}

/// A URL of a service. What is none may be anything, also a secret.
fn parsed(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| {
        Failure::other("the URL cannot be read; allowed: https://HOST/PATH or http://HOST/PATH")
    })
}

/// A part of a path cannot be a reference.
fn refuse_secret_path(url: &Url) -> Result<(), Failure> {
    if !url.path_segments().into_iter().flatten().any(secret::is_secret_segment) {
        return Ok(());
    }
    Err(Failure::other(
        "the path of the URL holds what looks like a secret; a part of a path cannot be a \
        reference, so it was not written",
    )
    .hint(
        "use an address of the service without a key in it, with `--bearer-env NAME` or \
        `--header 'NAME: VALUE'`",
    ))
}

/// Returns true if an argument holds a secret, or refers to one.
fn is_secret_argument(flag: &str, arg: &Template) -> bool {
    arg.plain().is_some_and(|text| secret::in_argument(flag, text).is_some())
        || arg.0.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Variable(name) => secret::is_telling(name) || sounds_secret(name),
            Piece::Secret(_) | Piece::File(_) => true,
        })
}

/// A reference is a whole value: a secret that has variables beside it can be none.
fn refuse_beside_variables(what: &str, name: &str, value: &Template) -> Result<(), Failure> {
    let is_file = |value: &Template| {
        let path = value.expanded(&ProcessEnvironment.variables());
        path.is_some_and(|path| secret::is_file(&path))
    };
    if value.is_whole() || !secret::is_beside_variables(name, value) || is_file(value) {
        return Ok(());
    }
    Err(Failure::other(format!(
        "{what} holds what looks like a secret beside a variable, and the file can only refer to \
        a whole value"
    ))
    .hint(
        "store the whole value with `airlock secrets set NAME`, and write `${secret:NAME}` in its \
        place; or give the whole value in one environment variable",
    ))
}

/// Refuses an argument of which a part is a secret that cannot be a reference.
fn refuse_in_argument(flag: &str, arg: &Template) -> Result<(), Failure> {
    if flag == "-c" {
        return match secret::in_script(&arg.marked(secret::VARIABLE)) {
            false => Ok(()),
            true => Err(Failure::other("the commands for the shell contain a secret")
                .hint("write `$NAME` in them, and give it with `--env NAME=VALUE`")),
        };
    }
    let first = arg.texts().next().unwrap_or_default();
    // Only what cannot be a part of the secret is named.
    let name = match (first.starts_with('-'), first.split_once('=')) {
        (true, Some((name, _))) => name,
        (false, _) if flag.starts_with('-') && !flag.contains('=') => flag,
        _ => return refuse_beside_variables("an argument", "", arg),
    };
    refuse_beside_variables(&format!("the argument `{name}`"), name, arg)
}

fn shell_quoted(word: &str) -> Result<String, Failure> {
    shlex::try_quote(word)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Failure::other("an argument contains a zero byte"))
}

/// A reference as a value of TOML.
fn item(reference: &Reference) -> Value {
    let table = |key: &str, name: &str| {
        Value::InlineTable(InlineTable::from_iter([(key, Value::from(name))]))
    };
    match reference {
        Reference::Text(text) => Value::from(text),
        Reference::Variable(name) => table("env", name),
        Reference::File(path) => table("file", path),
        Reference::Secret(name) => table("secret", name),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
