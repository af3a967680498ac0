//! What the words of a tool's name tell. Only what makes it worse than unknown, or tells that it
//! writes: never that it is harmless.

use super::Class;

const READING: &[&str] = &[
    "get", "list", "read", "search", "find", "fetch", "show", "describe", "retrieve", "count",
    "query", "lookup", "view",
];
const JOINING: &[&str] = &["and", "or", "then"];

/// The worst first: a name with several words is as bad as its worst.
const WORDS: &[(Class, &[&str])] = &[
    (
        Class::Financial,
        &[
            "refund",
            "pay",
            "payment",
            "payout",
            "charge",
            "purchase",
            "buy",
            "sell",
            "withdraw",
            "transfer",
            "checkout",
            "invoice",
            "reimburse",
            "topup",
        ],
    ),
    (
        Class::Destructive,
        &[
            "delete",
            "remove",
            "drop",
            "purge",
            "destroy",
            "erase",
            "wipe",
            "truncate",
            "revoke",
            "uninstall",
            "unlink",
            "reset",
            "clear",
            "overwrite",
            "terminate",
            "del",
            "rm",
        ],
    ),
    (
        Class::Execute,
        &[
            "run", "exec", "execute", "cancel", "deploy", "trigger", "invoke", "eval", "evaluate",
            "start", "stop", "restart", "launch", "spawn", "shell", "command", "call", "rerun",
            "abort", "kill", "pause", "resume", "schedule", "dispatch", "merge", "publish",
            "release", "rollback", "install", "script",
        ],
    ),
    (
        Class::Write,
        &[
            "create", "update", "set", "add", "put", "insert", "write", "send", "post", "edit",
            "patch", "save", "upload", "append", "rename", "move", "copy", "assign", "comment",
            "upsert", "modify", "change", "import", "fork", "push", "commit", "invite",
        ],
    ),
];

/// The worst word of a name, and what it makes of the tool. A name that begins with a word of
/// reading tells nothing of its other words (`get_payment`), unless they are joined
/// (`get_and_delete`).
pub(super) fn word(name: &str) -> Option<(Class, &'static str)> {
    let words = split(name);
    let reads = words.first().is_some_and(|first| READING.contains(&first.as_str()));
    let telling = match reads {
        false => &words[..],
        true => words
            .iter()
            .position(|word| JOINING.contains(&word.as_str()))
            .map_or(&[][..], |at| &words[at..]),
    };
    WORDS.iter().find_map(|(class, known)| {
        let found = known.iter().find(|known| telling.iter().any(|word| word == *known))?;
        Some((*class, *found))
    })
}

/// The words of `deleteOldRun`, `delete_old_run` and `delete-old.run`, in lower case.
fn split(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.push(String::new());
        } else {
            if c.is_uppercase() && lower_before {
                words.push(String::new());
            }
            words.last_mut().expect("there is always a word").extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}
