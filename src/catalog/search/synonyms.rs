//! Synonyms in the language of users and services, and which action a verb stands for.

use std::{collections::HashMap, sync::LazyLock};

use super::tokenize::Stems;

/// Effect of a call on its object, as far as its name or a query says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It looks.
    Read,
    /// It makes a new one.
    Create,
    /// It changes one.
    Update,
    /// It takes one away.
    Delete,
}

/// Weight of a word that means roughly the same.
const ALIKE: f32 = 0.62;
/// Weight of a word that often means the same.
const NEAR: f32 = 0.45;

/// Weight of a word that is merely the other's short form.
const SAME: f32 = 0.95;

/// Short forms.
const SHORT: &[&[&str]] = &[
    &["repository", "repo"],
    &["organization", "org", "organisation"],
    &["directory", "dir", "folder"],
    &["environment", "env"],
    &["configuration", "config", "configure"],
    &["authentication", "auth"],
    &["message", "msg"],
    &["statistic", "stats"],
    &["documentation", "docs"],
    &["information", "info"],
    &["database", "db"],
    &["application", "app"],
    &["administrator", "admin"],
    &["parameter", "param"],
    &["javascript", "js"],
    &["typescript", "ts"],
    &["kubernetes", "k8s"],
    &["address", "addr"],
    &["url", "uri", "link"],
    &["rerun", "retry"],
    &["email", "mail"],
];

/// Words that stand for one another.
const GROUPS: &[&[&str]] = &[
    &[
        "list",
        "get",
        "fetch",
        "read",
        "show",
        "view",
        "display",
        "retrieve",
        "see",
        "enumerate",
        "browse",
    ],
    &["create", "add", "new", "make", "insert"],
    &["delete", "remove", "destroy", "erase", "clear", "drop"],
    &["update", "edit", "change", "modify", "set", "alter", "replace"],
    &["search", "find", "query", "lookup", "locate"],
    &["send", "post", "submit", "publish"],
    &["run", "start", "trigger", "launch", "execute", "dispatch", "begin", "invoke"],
    &["stop", "cancel", "abort", "halt", "terminate", "end", "kill"],
    &["enable", "activate", "allow"],
    &["disable", "deactivate"],
    &["copy", "duplicate", "clone"],
    &["move", "rename", "relocate"],
    &["upload", "attach"],
    &["download", "export"],
    &["approve", "accept", "confirm"],
    &["reject", "decline", "deny", "dismiss", "refuse"],
    &["retry", "rerun", "redeliver", "repeat"],
    &["reply", "respond", "answer"],
    &["follow", "subscribe", "watch"],
    &["check", "verify", "validate", "test"],
    &["compare", "diff", "difference"],
    &["write", "save", "store", "put"],
    &["organization", "company"],
    &["image", "picture", "photo", "media"],
    &["user", "person", "people", "account", "member", "somebody", "someone", "anyone"],
    &["message", "chat"],
    &["comment", "reply", "note"],
    &["issue", "ticket", "bug"],
    &["label", "tag"],
    &["workflow", "pipeline", "ci", "action"],
    &["configuration", "setting", "preference", "option"],
    &["authentication", "login", "authorize", "authorization"],
    &["permission", "access", "right", "role", "privilege"],
    &["secret", "credential", "password"],
    &["page", "website", "site", "webpage", "web", "url"],
    &["statistic", "metric", "analytics", "usage"],
    &["documentation", "document", "file"],
    &["information", "detail", "metadata"],
    &["customer", "client"],
    &["invoice", "bill"],
    &["payment", "charge"],
    &["product", "item"],
    &["event", "meeting", "appointment"],
    &["task", "todo", "job"],
    &["number", "count", "amount", "total"],
    &["weather", "forecast"],
    &["price", "cost"],
    &["dropdown", "select", "combobox"],
];

/// Frequent meanings of a query's words.
const MEANINGS: &[(&str, &[&str])] = &[
    ("open", &["create", "navigate", "start"]),
    ("close", &["update", "end"]),
    ("pr", &["pull", "request"]),
    ("prs", &["pull", "request"]),
    ("mr", &["merge", "request"]),
    ("register", &["create", "registration"]),
    ("remember", &["create", "store", "save", "memory"]),
    ("forget", &["delete", "remove"]),
    ("rename", &["update"]),
    ("invite", &["invitation", "add"]),
    ("sync", &["merge", "update"]),
    ("ask", &["request"]),
    ("stop", &["delete", "disable"]),
    ("off", &["disable"]),
    ("choose", &["select"]),
    ("pick", &["select"]),
    ("go", &["navigate", "open"]),
    ("visit", &["navigate", "view"]),
    ("enter", &["type", "fill", "key"]),
    ("press", &["click", "key"]),
    ("publish", &["create", "release"]),
    ("grant", &["add", "permission"]),
    ("give", &["add", "set", "permission"]),
    ("revoke", &["delete", "remove"]),
    ("take", &["create"]),
    ("turn", &["enable", "disable"]),
    ("switch", &["select", "set"]),
    ("mark", &["update", "set"]),
    ("close", &["delete"]),
    ("look", &["get", "search"]),
    ("link", &["add", "relation"]),
    ("size", &["information", "usage"]),
    ("history", &["list", "log"]),
    ("recent", &["latest", "list"]),
    ("newest", &["latest"]),
    ("last", &["latest", "recent"]),
    ("ban", &["block"]),
    ("like", &["star", "reaction"]),
    ("favorite", &["star"]),
    ("bookmark", &["star"]),
    ("emoji", &["reaction"]),
    ("thumbs", &["reaction"]),
    ("react", &["reaction"]),
    ("text", &["file", "content"]),
    ("wait", &["sleep"]),
    ("whole", &["all"]),
    ("everything", &["all"]),
    ("money", &["payment", "balance"]),
    ("buy", &["order", "purchase"]),
    ("sum", &["add", "total"]),
    ("build", &["workflow", "run"]),
    ("deploy", &["deployment"]),
    ("fact", &["observation"]),
    ("quota", &["limit"]),
    ("javascript", &["evaluate", "script"]),
    ("js", &["javascript", "evaluate"]),
];

const ACTIONS: &[(Action, &[&str])] = &[
    (
        Action::Read,
        &[
            "list",
            "get",
            "fetch",
            "read",
            "show",
            "view",
            "display",
            "retrieve",
            "see",
            "enumerate",
            "browse",
            "search",
            "find",
            "query",
            "lookup",
            "look",
            "check",
            "count",
            "download",
            "compare",
            "describe",
            "export",
        ],
    ),
    (
        Action::Create,
        &[
            "create", "add", "new", "make", "insert", "post", "open", "upload", "register",
            "generate", "invite",
        ],
    ),
    (
        Action::Update,
        &[
            "update", "edit", "change", "modify", "set", "alter", "replace", "rename", "put",
            "patch", "mark",
        ],
    ),
    (
        Action::Delete,
        &["delete", "remove", "destroy", "erase", "clear", "drop", "forget", "revoke", "uninstall"],
    ),
];

static RELATED: LazyLock<HashMap<String, Vec<(String, f32)>>> = LazyLock::new(|| {
    let mut stems = Stems::new();
    let mut related: HashMap<String, Vec<(String, f32)>> = HashMap::new();
    let groups = |groups: &'static [&'static [&'static str]], worth: f32| {
        groups.iter().flat_map(move |group| group.iter().map(move |word| (*word, *group, worth)))
    };
    let groups = groups(SHORT, SAME).chain(groups(GROUPS, ALIKE));
    for (word, others, worth) in
        groups.chain(MEANINGS.iter().map(|(word, others)| (*word, *others, NEAR)))
    {
        let stem = stems.of(word);
        for other in others.iter().map(|other| stems.of(other)).filter(|other| *other != stem) {
            let known = related.entry(stem.clone()).or_default();
            if !known.iter().any(|(known, _)| *known == other) {
                known.push((other, worth));
            }
        }
    }
    related
});

static ACTION_OF: LazyLock<HashMap<String, Action>> = LazyLock::new(|| {
    let mut stems = Stems::new();
    verbs().map(|(verb, action)| (stems.of(verb), action)).collect()
});

/// Stems that mean the same as this one, each with what it is worth, 0 to 1.
pub(super) fn related(stem: &str) -> &'static [(String, f32)] {
    RELATED.get(stem).map(Vec::as_slice).unwrap_or_default()
}

/// Verbs with what they do, as they are written.
pub(super) fn verbs() -> impl Iterator<Item = (&'static str, Action)> {
    ACTIONS.iter().flat_map(|(action, verbs)| verbs.iter().map(|verb| (*verb, *action)))
}

/// Action of a verb, by its stem.
pub(super) fn action(stem: &str) -> Option<Action> {
    ACTION_OF.get(stem).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_of_one_meaning_lead_to_one_another() {
        let mut stems = Stems::new();
        for (one, other) in [
            ("removing", "delete"),
            ("fetched", "list"),
            ("new", "create"),
            ("edits", "update"),
            ("repos", "repository"),
        ] {
            let (one, other) = (stems.of(one), stems.of(other));
            assert!(
                related(&one).iter().any(|(known, worth)| *known == other && *worth < 1.0),
                "{one} {other}"
            );
        }
        assert_eq!(related("zebra"), []);
    }

    #[test]
    fn every_action_is_told_by_its_verb() {
        let mut stems = Stems::new();
        assert_eq!(action(&stems.of("deleting")), Some(Action::Delete));
        assert_eq!(action(&stems.of("lists")), Some(Action::Read));
        assert_eq!(action(&stems.of("banana")), None);
    }
}
