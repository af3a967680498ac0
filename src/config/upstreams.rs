//! Resolves the keys of upstreams, and checks combinations of keys, URLs and environment variables.

use std::collections::BTreeMap;

use url::Url;

use super::{
    expand::{foreign_variable, has_variable},
    keys::{
        UpstreamKeys, UpstreamKind,
        auth::{AccountKeys, Auth, SecretSource},
    },
    resolve::Resolver,
    resolved::{Credential, HttpAccess, Secret, Transport, Upstream},
};
use crate::model::{
    self, Document, InvalidName, InvalidPattern, KeyPlace, NAMESPACE_CHARS_MAX, OperationPattern,
    UpstreamName,
};

/// Patterns of operations in one list.
const PATTERNS_MAX: usize = 200;

impl Resolver<'_> {
    /// Resolves all upstreams, sorted by name. Each account is an upstream of its own.
    pub(super) fn upstreams(&mut self, tables: &BTreeMap<String, UpstreamKeys>) -> Vec<Upstream> {
        let mut all: Vec<Upstream> =
            tables.iter().flat_map(|(name, keys)| self.upstream(name, keys)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        for pair in all.windows(2).filter(|pair| pair[0].name == pair[1].name) {
            let name = &pair[0].name;
            let message = format!(
                "`upstreams.{name}` has the same name as an account of another upstream; \
                rename one of them"
            );
            self.report(&["upstreams", name], message);
        }
        all
    }

    fn upstream(&mut self, name: &str, keys: &UpstreamKeys) -> Vec<Upstream> {
        let before = self.problems.len();
        self.check_name(name);
        let transport = match keys.kind {
            UpstreamKind::Mcp => self.mcp(name, keys),
            UpstreamKind::OpenApi => self.openapi(name, keys),
            UpstreamKind::GraphQl => self.graphql(name, keys),
        };
        // Of the transport, which accounts share.
        let shared = self.unset.clone();
        let access = match keys.command {
            Some(_) if keys.kind == UpstreamKind::Mcp => None,
            _ => self.own_access(name, keys),
        };
        self.check_field_key(name, keys);
        let unset = std::mem::take(&mut self.unset);
        let UpstreamKeys { refresh_minutes, call_timeout_ms, start_timeout_ms, trusted, .. } =
            *keys;
        let upstream = |name: String, transport, access, unset| Upstream {
            name,
            transport,
            access,
            refresh_minutes,
            call_timeout_ms,
            start_timeout_ms,
            trusted,
            unset,
        };
        let accounts = keys.accounts.iter().filter_map(|(account, own)| {
            let access = self.account(name, account, keys, own)?;
            let mut unset = shared.clone();
            unset.append(&mut self.unset);
            Some(upstream(format!("{name}-{account}"), transport.clone()?, Some(access), unset))
        });
        let accounts: Vec<_> = accounts.collect();
        let own =
            transport.clone().map(|transport| upstream(name.to_owned(), transport, access, unset));
        if self.problems.len() == before {
            own.into_iter().chain(accounts).collect()
        } else {
            vec![]
        }
    }

    /// A field of a body is known of OpenAPI services only: the others' bodies are messages.
    fn check_field_key(&mut self, name: &str, keys: &UpstreamKeys) {
        let is_field = |auth: Option<&Auth>| match auth {
            Some(Auth::ApiKey(keys)) => keys.each().iter().any(|key| key.field.is_some()),
            _ => false,
        };
        let of_accounts = || keys.accounts.values().any(|account| is_field(account.auth.as_ref()));
        if keys.kind != UpstreamKind::OpenApi && (is_field(keys.auth.as_ref()) || of_accounts()) {
            let message = format!(
                "`upstreams.{name}.auth` puts the key into a `field` of a body, which needs an \
                upstream of kind \"openapi\"; use `header`, `query` or `cookie`"
            );
            self.report(&["upstreams", name, "auth"], message);
        }
    }

    fn account(
        &mut self,
        name: &str,
        account: &str,
        keys: &UpstreamKeys,
        own: &AccountKeys,
    ) -> Option<HttpAccess> {
        let at = ["upstreams", name, "accounts", account];
        let is_valid = !account.is_empty()
            && account.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !is_valid || name.len() + 1 + account.len() > NAMESPACE_CHARS_MAX {
            let message = format!(
                "`{account}` is not a valid name of an account of `{name}`; allowed: letters, \
                digits, `_` or `-`, at most {NAMESPACE_CHARS_MAX} characters together with the \
                upstream's name"
            );
            self.report(&at, message);
            return None;
        }
        if keys.command.is_some() {
            let message = format!(
                "`{}` needs an upstream with a URL; pass the account of a program in `env`",
                at.join(".")
            );
            self.report(&at, message);
            return None;
        }
        if own.auth.is_none() && own.headers.is_empty() {
            self.report(
                &at,
                format!(
                    "`{}` has neither `auth` nor `headers`, so it is not another account",
                    at.join(".")
                ),
            );
            return None;
        }
        let mut headers = keys.headers.clone();
        headers.retain(|header, _| !own.headers.keys().any(|own| own.eq_ignore_ascii_case(header)));
        headers.extend(own.headers.clone());
        self.http_access(&at, &headers, own.auth.as_ref(), keys.allow_private)
    }

    fn check_name(&mut self, name: &str) {
        let message = match name.parse::<UpstreamName>() {
            Ok(_) => return,
            Err(InvalidName::Reserved { .. }) => format!(
                "`{name}` is not a valid name of an upstream, because `tools.{name}` is a built-in \
                function; choose another name"
            ),
            Err(InvalidName::Length { .. } | InvalidName::Characters(_)) => format!(
                "`{name}` is not a valid name of an upstream; allowed: a letter or `_`, then \
                letters, digits, `_` or `-`, at most {NAMESPACE_CHARS_MAX} characters"
            ),
        };
        self.report(&["upstreams", name], message);
    }

    fn mcp(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Transport> {
        let described = [
            ("spec", keys.spec.is_some()),
            ("base_url", keys.base_url.is_some()),
            ("server", keys.server.is_some()),
            ("server_variables", !keys.server_variables.is_empty()),
            ("only", !keys.only.is_empty()),
            ("except", !keys.except.is_empty()),
        ];
        self.report_unexpected(
            name,
            &described,
            "is not a key of an upstream of kind \"mcp\"; remove it, or change `kind`",
        );
        match (&keys.command, &keys.url) {
            (Some(command), None) => self.stdio(name, keys, command),
            (None, Some(url)) => {
                self.report_process_keys(name, keys);
                self.url(name, "url", url).map(|url| Transport::Http { url })
            }
            (Some(_), Some(_)) => {
                self.report(
                    &["upstreams", name],
                    format!("`upstreams.{name}` has both `command` and `url`; keep one of them"),
                );
                None
            }
            (None, None) => {
                let message = format!(
                    "`upstreams.{name}` has neither `command` (a program to start) nor `url` (a \
                    server to connect to)"
                );
                self.report(&["upstreams", name], message);
                None
            }
        }
    }

    fn stdio(&mut self, name: &str, keys: &UpstreamKeys, command: &str) -> Option<Transport> {
        if command.trim().is_empty() {
            self.report(
                &["upstreams", name, "command"],
                format!("`upstreams.{name}.command` is empty; name a program"),
            );
        }
        if !keys.headers.is_empty() || keys.auth.is_some() {
            let key = if keys.auth.is_some() { "auth" } else { "headers" };
            let message = format!(
                "`upstreams.{name}.{key}` needs an upstream with `url`; for one with \
                `command` use `env`"
            );
            self.report(&["upstreams", name, key], message);
        }
        let used = [("allow_private", keys.allow_private)];
        self.report_unexpected(
            name,
            &used,
            "needs an upstream with `url`; Airlock does not restrict the connections of a program",
        );
        let (mut env, mut env_secret) = (BTreeMap::new(), BTreeMap::new());
        for (entry, source) in &keys.env {
            match source {
                // What a variable holds may be a secret.
                SecretSource::Text(text) if has_variable(text) => {
                    let value = self.expanded(&["upstreams", name, "env", entry], text);
                    env_secret.insert(entry.clone(), model::SecretSource::Value(value));
                }
                SecretSource::Text(text) => {
                    let value = self.expanded(&["upstreams", name, "env", entry], text);
                    env.insert(entry.clone(), Secret::new(value));
                }
                source => {
                    let value = self.reference(&["upstreams", name, "env", entry], source);
                    env_secret.extend(value.map(|value| (entry.clone(), value)));
                }
            }
        }
        let command = self.word(&["upstreams", name, "command"], command);
        let args = keys.args.iter().map(|arg| self.word(&["upstreams", name, "args"], arg));
        let (args, env_pass) = (args.collect(), keys.env_pass.clone());
        let cwd = keys.cwd.as_ref().map(|folder| {
            let at = ["upstreams", name, "cwd"];
            let folder = self.expanded(&at, folder);
            self.absolute(&at, &folder)
        });
        Some(Transport::Stdio { command, args, cwd, env, env_secret, env_pass })
    }

    fn openapi(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Transport> {
        self.report_process_keys(name, keys);
        let message =
            "is not a key of an upstream of kind \"openapi\"; set the URL of calls with `base_url`";
        self.report_unexpected(name, &[("url", keys.url.is_some())], message);
        let Some(spec) = &keys.spec else {
            let message = format!(
                "`upstreams.{name}` is of kind \"openapi\" and needs `spec`, the file or URL \
                of its OpenAPI document"
            );
            self.report(&["upstreams", name], message);
            return None;
        };
        if keys.base_url.is_some() && keys.server.is_some() {
            let message =
                format!("`upstreams.{name}` has both `base_url` and `server`; keep one of them");
            self.report(&["upstreams", name, "server"], message);
        }
        let spec = self.document(name, spec);
        let base_url = keys.base_url.as_ref().map(|url| self.url(name, "base_url", url));
        let base_url = match base_url {
            Some(url) => Some(url?),
            None => None,
        };
        let (server, server_variables) = (keys.server.clone(), keys.server_variables.clone());
        let only = self.patterns(name, "only", &keys.only);
        let except = self.patterns(name, "except", &keys.except);
        Some(Transport::OpenApi { spec: spec?, base_url, server, server_variables, only, except })
    }

    /// Patterns of operations.
    fn patterns(&mut self, name: &str, key: &str, texts: &[String]) -> Vec<OperationPattern> {
        if texts.len() > PATTERNS_MAX {
            let message = format!(
                "`upstreams.{name}.{key}` has {} patterns; the limit is {PATTERNS_MAX}",
                texts.len()
            );
            self.report(&["upstreams", name, key], message);
        }
        let mut patterns = vec![];
        for text in texts {
            match text.parse() {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let error: InvalidPattern = error;
                    let message = format!("{text:?} in `upstreams.{name}.{key}` {error}");
                    self.report(&["upstreams", name, key], message);
                }
            }
        }
        patterns
    }

    fn graphql(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Transport> {
        self.report_process_keys(name, keys);
        let used = [
            ("base_url", keys.base_url.is_some()),
            ("server", keys.server.is_some()),
            ("server_variables", !keys.server_variables.is_empty()),
        ];
        self.report_unexpected(
            name,
            &used,
            "is not a key of an upstream of kind \"graphql\"; its endpoint is `url`",
        );
        let filters = [("only", !keys.only.is_empty()), ("except", !keys.except.is_empty())];
        self.report_unexpected(
            name,
            &filters,
            "is not a key of an upstream of kind \"graphql\"; a policy file can deny tools",
        );
        let Some(url) = &keys.url else {
            let message = format!(
                "`upstreams.{name}` is of kind \"graphql\" and needs `url`, the URL of its \
                endpoint"
            );
            self.report(&["upstreams", name], message);
            return None;
        };
        let url = self.url(name, "url", url);
        let schema = keys.spec.as_ref().map(|spec| self.document(name, spec));
        let schema = match schema {
            Some(schema) => Some(schema?),
            None => None,
        };
        Some(Transport::GraphQl { url: url?, schema })
    }

    fn report_process_keys(&mut self, name: &str, keys: &UpstreamKeys) {
        let is_program = keys.command.is_some() && keys.kind != UpstreamKind::Mcp;
        self.report_unexpected(
            name,
            &[("command", is_program)],
            "is a key of an upstream of kind \"mcp\"; remove it, or change `kind`",
        );
        let used = [
            ("args", !keys.args.is_empty()),
            ("cwd", keys.cwd.is_some()),
            ("env", !keys.env.is_empty()),
            ("env_pass", !keys.env_pass.is_empty()),
        ];
        let has = if keys.kind == UpstreamKind::OpenApi { "spec" } else { "url" };
        self.report_unexpected(
            name,
            &used,
            &format!("needs an upstream with `command`; this one has `{has}`"),
        );
    }

    fn report_unexpected(&mut self, name: &str, used: &[(&str, bool)], why: &str) {
        for (key, _) in used.iter().filter(|(_, used)| *used) {
            self.report(&["upstreams", name, key], format!("`upstreams.{name}.{key}` {why}"));
        }
    }

    /// Parses a URL without credentials.
    fn url(&mut self, name: &str, key: &str, text: &str) -> Option<Url> {
        let is_foreign = |part: &str| foreign_variable(part).is_some();
        if has_variable(text) || text.split(['/', '?', '&', '=']).any(is_foreign) {
            let message = format!(
                "`upstreams.{name}.{key}` refers to a variable, and variables are not expanded in \
                URLs; write the URL itself, and its secrets in `auth`"
            );
            self.report(&["upstreams", name, key], message);
            return None;
        }
        let parsed = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(parsed) = parsed else {
            let message = format!(
                "`upstreams.{name}.{key}` is not a URL; allowed: \"https://HOST/PATH\" \
                or \"http://HOST/PATH\""
            );
            self.report(&["upstreams", name, key], message);
            return None;
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let message = format!(
                "`upstreams.{name}.{key}` contains a user or a password; set them in `auth` or \
                `headers` instead"
            );
            self.report(&["upstreams", name, key], message);
        }
        Some(parsed)
    }

    fn document(&mut self, name: &str, text: &str) -> Option<Document> {
        if text.contains("://") {
            return self.url(name, "spec", text).map(|url| Document::Url(url.into()));
        }
        if text.trim().is_empty() {
            self.report(
                &["upstreams", name, "spec"],
                format!("`upstreams.{name}.spec` is empty; name a file or a URL"),
            );
            return None;
        }
        let at = ["upstreams", name, "spec"];
        let text = self.expanded(&at, text);
        Some(Document::File(self.absolute(&at, &text)))
    }

    fn own_access(&mut self, name: &str, keys: &UpstreamKeys) -> Option<HttpAccess> {
        self.http_access(
            &["upstreams", name],
            &keys.headers,
            keys.auth.as_ref(),
            keys.allow_private,
        )
    }

    fn http_access(
        &mut self,
        at: &[&str],
        headers: &BTreeMap<String, SecretSource>,
        auth: Option<&Auth>,
        allow_private: bool,
    ) -> Option<HttpAccess> {
        let path = at.join(".");
        let under = |key: &'static str| [at, &[key]].concat();
        for header in headers.keys() {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                let message = format!(
                    "`{path}.headers` contains `{header}`, which is not a valid name of an HTTP \
                    header"
                );
                self.report(&[&under("headers")[..], &[header]].concat(), message);
            }
        }
        let credential = self.credential(&under("auth"), auth);
        let taken = match &credential {
            Some(Credential::None) | None => vec![],
            Some(Credential::ApiKeys(keys)) => {
                let in_headers = keys.iter().filter(|key| key.place == KeyPlace::Header);
                in_headers.map(|key| key.name.as_str()).collect()
            }
            Some(_) => vec!["Authorization"],
        };
        let is_header =
            |taken: &&str| headers.keys().any(|header| header.eq_ignore_ascii_case(taken));
        for taken in taken.into_iter().filter(is_header) {
            let article = if taken.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            let message = format!(
                "`{path}` has both `auth` and {article} `{taken}` header; keep one of them"
            );
            self.report(&under("auth"), message);
        }
        let is_secret = |source: &SecretSource| match source {
            SecretSource::Text(text) => has_variable(text),
            _ => true,
        };
        let secret_headers = headers.iter().filter(|(_, source)| is_secret(source));
        let secret_headers = secret_headers.map(|(name, _)| name.clone()).collect();
        let headers = self.secrets(&under("headers"), headers);
        Some(HttpAccess { headers, secret_headers, credential: credential?, allow_private })
    }

    fn secrets(
        &mut self,
        at: &[&str],
        sources: &BTreeMap<String, SecretSource>,
    ) -> BTreeMap<String, Secret> {
        let found = sources.iter().filter_map(|(entry, source)| {
            let secret = self.secret(&[at, &[entry]].concat(), source)?;
            Some((entry.clone(), secret))
        });
        found.collect()
    }

    /// Resolves a value that is available now: a literal, or an environment variable. One that is
    /// not set concerns its upstream alone.
    pub(super) fn secret(&mut self, path: &[&str], source: &SecretSource) -> Option<Secret> {
        match source {
            SecretSource::Text(text) => Some(Secret::new(self.expanded(path, text))),
            SecretSource::Variable(variable) => {
                let value = self.variables.get(&variable.env).cloned();
                if value.is_none() {
                    self.note_unset(path, &variable.env);
                }
                Some(Secret::new(value.unwrap_or_default()))
            }
            SecretSource::File(_) | SecretSource::Keychain(_) | SecretSource::Stored(_) => {
                let message = format!(
                    "`{}` must be a string or `{{ env = \"NAME\" }}`; other references are allowed \
                    in `auth` and `env`. A secret in a header is an `api_key` of `auth`, which can \
                    be a list",
                    path.join(".")
                );
                self.report(path, message);
                None
            }
        }
    }
}
