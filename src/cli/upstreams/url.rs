//! URLs: which may be shown, and which may be written to the configuration.

/// A URL without its query, which may hold a key.
pub(super) fn shown(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Name of the first query parameter that looks like a secret. A URL with one is not written to the
/// configuration.
pub(super) fn secret_parameter(url: &url::Url) -> Option<String> {
    let looks_secret = |name: &str| {
        let name = name.to_lowercase();
        ["key", "token", "secret", "password", "auth", "sig"].iter().any(|word| name.contains(word))
    };
    let name = |(name, _): (std::borrow::Cow<'_, str>, _)| name.into_owned();
    url.query_pairs().map(name).find(|name| looks_secret(name))
}
