//! Turns the keys of one upstream into what the program works with, and refuses keys that do not
//! belong together, addresses that are none, and secrets that are not there.

use std::collections::BTreeMap;

use url::Url;

use super::{
    Credential, Document, Reach, Secret, Transport, Upstream,
    keys::{
        UpstreamKeys, UpstreamKind,
        auth::{AccountKeys, Auth, SecretSource},
    },
    resolve::Resolver,
};
use crate::model::{NAMESPACE_CHARS_MAX, is_reserved_namespace};

impl Resolver<'_> {
    /// All of them, by name; each account of one is one of its own.
    pub(super) fn upstreams(&mut self, tables: &BTreeMap<String, UpstreamKeys>) -> Vec<Upstream> {
        let mut all: Vec<Upstream> =
            tables.iter().flat_map(|(name, keys)| self.upstream(name, keys)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        for pair in all.windows(2).filter(|pair| pair[0].name == pair[1].name) {
            let name = &pair[0].name;
            let message = format!(
                "`upstreams.{name}` is an upstream, and an account of another is called so too; \
                rename one of them"
            );
            self.refuse(&["upstreams", name], message);
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
        let UpstreamKeys { refresh_minutes, call_timeout_ms, start_timeout_ms, trusted, .. } =
            *keys;
        let upstream = |name: String, transport| Upstream {
            name,
            transport,
            refresh_minutes,
            call_timeout_ms,
            start_timeout_ms,
            trusted,
        };
        let accounts = keys.accounts.iter().filter_map(|(account, own)| {
            let reach = self.account(name, account, keys, own)?;
            let transport = match transport.clone()? {
                Transport::Stdio { .. } => return None,
                Transport::Http { url, .. } => Transport::Http { url, reach },
                Transport::OpenApi { spec, base_url, server, server_variables, .. } => {
                    Transport::OpenApi { spec, base_url, server, server_variables, reach }
                }
                Transport::GraphQl { url, schema, .. } => Transport::GraphQl { url, schema, reach },
            };
            Some(upstream(format!("{name}-{account}"), transport))
        });
        let accounts: Vec<_> = accounts.collect();
        let own = transport.map(|transport| upstream(name.to_owned(), transport));
        if self.problems.len() == before {
            own.into_iter().chain(accounts).collect()
        } else {
            vec![]
        }
    }

    fn account(
        &mut self,
        name: &str,
        account: &str,
        keys: &UpstreamKeys,
        own: &AccountKeys,
    ) -> Option<Reach> {
        let at = ["upstreams", name, "accounts", account];
        let fits = !account.is_empty()
            && account.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !fits || name.len() + 1 + account.len() > NAMESPACE_CHARS_MAX {
            let message = format!(
                "`{account}` cannot name an account of `{name}`; allowed: letters, digits, `_` or \
                `-`, at most {NAMESPACE_CHARS_MAX} characters \
                 together with the upstream's name"
            );
            self.refuse(&at, message);
            return None;
        }
        if keys.command.is_some() {
            let message = format!(
                "`{}` belongs to an upstream with an address; give a program its account in `env`",
                at.join(".")
            );
            self.refuse(&at, message);
            return None;
        }
        if own.auth.is_none() && own.headers.is_empty() {
            self.refuse(
                &at,
                format!(
                    "`{}` has neither `auth` nor `headers`, so it is no other account",
                    at.join(".")
                ),
            );
            return None;
        }
        let mut headers = keys.headers.clone();
        headers.retain(|header, _| !own.headers.keys().any(|own| own.eq_ignore_ascii_case(header)));
        headers.extend(own.headers.clone());
        self.reach(&at, &headers, own.auth.as_ref(), keys.allow_private)
    }

    fn check_name(&mut self, name: &str) {
        let mut characters = name.chars();
        let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !first || !rest || name.len() > NAMESPACE_CHARS_MAX {
            let message = format!(
                "`{name}` cannot name an upstream; allowed: a letter or `_`, then letters, \
                digits, `_` or `-`, at most {NAMESPACE_CHARS_MAX} characters"
            );
            self.refuse(&["upstreams", name], message);
        } else if is_reserved_namespace(name) {
            let message = format!(
                "`{name}` cannot name an upstream: `tools.{name}` means something else; choose \
                another name"
            );
            self.refuse(&["upstreams", name], message);
        }
    }

    fn mcp(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Transport> {
        let described = [
            ("spec", keys.spec.is_some()),
            ("base_url", keys.base_url.is_some()),
            ("server", keys.server.is_some()),
            ("server_variables", !keys.server_variables.is_empty()),
        ];
        self.refuse_used(
            name,
            &described,
            "is not for an upstream of kind \"mcp\"; take it out, or change `kind`",
        );
        match (&keys.command, &keys.url) {
            (Some(command), None) => self.stdio(name, keys, command),
            (None, Some(url)) => {
                self.refuse_process_keys(name, keys);
                let url = self.address(name, "url", url);
                let reach = self.own_reach(name, keys);
                Some(Transport::Http { url: url?, reach: reach? })
            }
            (Some(_), Some(_)) => {
                self.refuse(
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
                self.refuse(&["upstreams", name], message);
                None
            }
        }
    }

    fn stdio(&mut self, name: &str, keys: &UpstreamKeys, command: &str) -> Option<Transport> {
        if command.trim().is_empty() {
            self.refuse(
                &["upstreams", name, "command"],
                format!("`upstreams.{name}.command` is empty; name a program"),
            );
        }
        if !keys.headers.is_empty() || keys.auth.is_some() {
            let key = if keys.auth.is_some() { "auth" } else { "headers" };
            let message = format!(
                "`upstreams.{name}.{key}` belongs to an upstream with `url`; for one with \
                `command` use `env`"
            );
            self.refuse(&["upstreams", name, key], message);
        }
        let used = [("allow_private", keys.allow_private)];
        self.refuse_used(
            name,
            &used,
            "belongs to an upstream with `url`; a program reaches whatever it wants",
        );
        let (mut env, mut env_secret) = (BTreeMap::new(), BTreeMap::new());
        for (entry, source) in &keys.env {
            match source {
                SecretSource::Text(text) => {
                    drop(env.insert(entry.clone(), Secret::new(text.clone())))
                }
                source => {
                    let value = self.reference(&["upstreams", name, "env", entry], source);
                    env_secret.extend(value.map(|value| (entry.clone(), value)));
                }
            }
        }
        let (command, args, env_pass) =
            (command.to_owned(), keys.args.clone(), keys.env_pass.clone());
        Some(Transport::Stdio { command, args, env, env_secret, env_pass })
    }

    fn openapi(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Transport> {
        self.refuse_process_keys(name, keys);
        let message =
            "is not for an upstream of kind \"openapi\"; write where calls go in `base_url`";
        self.refuse_used(name, &[("url", keys.url.is_some())], message);
        let Some(spec) = &keys.spec else {
            let message = format!(
                "`upstreams.{name}` is of kind \"openapi\" and has no `spec`, the file or address \
                of its description"
            );
            self.refuse(&["upstreams", name], message);
            return None;
        };
        if keys.base_url.is_some() && keys.server.is_some() {
            let message =
                format!("`upstreams.{name}` has both `base_url` and `server`; keep one of them");
            self.refuse(&["upstreams", name, "server"], message);
        }
        let spec = self.document(name, spec);
        let base_url = keys.base_url.as_ref().map(|url| self.address(name, "base_url", url));
        let reach = self.own_reach(name, keys);
        let base_url = match base_url {
            Some(url) => Some(url?),
            None => None,
        };
        let (server, server_variables) = (keys.server.clone(), keys.server_variables.clone());
        Some(Transport::OpenApi { spec: spec?, base_url, server, server_variables, reach: reach? })
    }

    fn graphql(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Transport> {
        self.refuse_process_keys(name, keys);
        let used = [
            ("base_url", keys.base_url.is_some()),
            ("server", keys.server.is_some()),
            ("server_variables", !keys.server_variables.is_empty()),
        ];
        self.refuse_used(
            name,
            &used,
            "is not for an upstream of kind \"graphql\"; its endpoint is `url`",
        );
        let Some(url) = &keys.url else {
            let message = format!(
                "`upstreams.{name}` is of kind \"graphql\" and has no `url`, the address of its \
                endpoint"
            );
            self.refuse(&["upstreams", name], message);
            return None;
        };
        let url = self.address(name, "url", url);
        let schema = keys.spec.as_ref().map(|spec| self.document(name, spec));
        let reach = self.own_reach(name, keys);
        let schema = match schema {
            Some(schema) => Some(schema?),
            None => None,
        };
        Some(Transport::GraphQl { url: url?, schema, reach: reach? })
    }

    fn refuse_process_keys(&mut self, name: &str, keys: &UpstreamKeys) {
        let is_program = keys.command.is_some() && keys.kind != UpstreamKind::Mcp;
        self.refuse_used(
            name,
            &[("command", is_program)],
            "is for an upstream of kind \"mcp\"; take it out, or change `kind`",
        );
        let used = [
            ("args", !keys.args.is_empty()),
            ("env", !keys.env.is_empty()),
            ("env_pass", !keys.env_pass.is_empty()),
        ];
        let has = if keys.kind == UpstreamKind::OpenApi { "spec" } else { "url" };
        self.refuse_used(
            name,
            &used,
            &format!("belongs to an upstream with `command`; this one has `{has}`"),
        );
    }

    fn refuse_used(&mut self, name: &str, used: &[(&str, bool)], why: &str) {
        for (key, _) in used.iter().filter(|(_, used)| *used) {
            self.refuse(&["upstreams", name, key], format!("`upstreams.{name}.{key}` {why}"));
        }
    }

    /// An address without user and password.
    fn address(&mut self, name: &str, key: &str, text: &str) -> Option<Url> {
        let parsed = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(parsed) = parsed else {
            let message = format!(
                "`upstreams.{name}.{key}` is not an address; allowed: \"https://HOST/PATH\" \
                or \"http://HOST/PATH\""
            );
            self.refuse(&["upstreams", name, key], message);
            return None;
        };
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let message = format!(
                "`upstreams.{name}.{key}` holds a user or a password; give them in `auth` or \
                `headers` instead"
            );
            self.refuse(&["upstreams", name, key], message);
        }
        Some(parsed)
    }

    fn document(&mut self, name: &str, text: &str) -> Option<Document> {
        if text.contains("://") {
            return self.address(name, "spec", text).map(Document::Address);
        }
        if text.trim().is_empty() {
            self.refuse(
                &["upstreams", name, "spec"],
                format!("`upstreams.{name}.spec` is empty; name a file or an address"),
            );
            return None;
        }
        Some(Document::File(self.absolute(&["upstreams", name, "spec"], text)))
    }

    fn own_reach(&mut self, name: &str, keys: &UpstreamKeys) -> Option<Reach> {
        self.reach(&["upstreams", name], &keys.headers, keys.auth.as_ref(), keys.allow_private)
    }

    fn reach(
        &mut self,
        at: &[&str],
        headers: &BTreeMap<String, SecretSource>,
        auth: Option<&Auth>,
        allow_private: bool,
    ) -> Option<Reach> {
        let path = at.join(".");
        let under = |key: &'static str| [at, &[key]].concat();
        for header in headers.keys() {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                let message = format!(
                    "`{path}.headers` holds `{header}`, which is not the name of an HTTP header"
                );
                self.refuse(&[&under("headers")[..], &[header]].concat(), message);
            }
        }
        let credential = self.credential(&under("auth"), auth);
        let taken = match &credential {
            Some(Credential::None) | None => None,
            Some(Credential::ApiKey { place: super::KeyPlace::Header, name, .. }) => {
                Some(name.as_str())
            }
            Some(Credential::ApiKey { .. }) => None,
            Some(_) => Some("Authorization"),
        };
        if let Some(taken) =
            taken.filter(|taken| headers.keys().any(|header| header.eq_ignore_ascii_case(taken)))
        {
            let article = if taken.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            let message = format!(
                "`{path}` has both `auth` and {article} `{taken}` header; keep one of them"
            );
            self.refuse(&under("auth"), message);
        }
        let secret_headers =
            headers.iter().filter(|(_, source)| !matches!(source, SecretSource::Text(_)));
        let secret_headers = secret_headers.map(|(name, _)| name.clone()).collect();
        let headers = self.secrets(&under("headers"), headers);
        Some(Reach { headers, secret_headers, credential: credential?, allow_private })
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

    /// A value that is here already: a text, or a variable of the environment.
    pub(super) fn secret(&mut self, path: &[&str], source: &SecretSource) -> Option<Secret> {
        match source {
            SecretSource::Text(text) => Some(Secret::new(text.clone())),
            SecretSource::Variable(variable) => {
                let value = self.variables.get(&variable.env);
                if value.is_none() {
                    let message = format!(
                        "`{}` takes the environment variable `{}`, which is not set",
                        path.join("."),
                        variable.env
                    );
                    self.refuse(path, message);
                }
                value.map(|value| Secret::new(value.clone()))
            }
            SecretSource::File(_) | SecretSource::Keychain(_) | SecretSource::Stored(_) => {
                let message = format!(
                    "`{}` takes a text or `{{ env = \"NAME\" }}`; other references are for `auth` \
                    and `env`",
                    path.join(".")
                );
                self.refuse(path, message);
                None
            }
        }
    }
}
