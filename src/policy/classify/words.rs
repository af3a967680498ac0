//! Class suggested by the words in a tool's name. A word can make a tool worse than unknown, or
//! show that it writes; it never makes a tool harmless.

use crate::policy::model::class::Class;

/// First words of names of tools that read.
const READING: &[&str] = &[
    "get", "list", "read", "search", "find", "fetch", "show", "describe", "retrieve", "count",
    "query", "lookup", "view",
];
/// Words that join two actions in one name.
const JOINING: &[&str] = &["and", "or", "then"];

/// Words by class, most severe first: the most severe word of a name decides.
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

/// Returns the most severe word of a name, with its class. If the first word is one of reading, the
/// others are objects and do not count (`get_payment`), unless they are joined (`get_and_delete`).
pub(super) fn worst_word(name: &str) -> Option<(Class, &'static str)> {
    let words = split(name);
    let reads = words.first().is_some_and(|first| READING.contains(&first.as_str()));
    let relevant = match reads {
        false => &words[..],
        true => words
            .iter()
            .position(|word| JOINING.contains(&word.as_str()))
            .map_or(&[][..], |at| &words[at..]),
    };
    WORDS.iter().find_map(|(class, known)| {
        let found = known.iter().find(|known| relevant.iter().any(|word| word == *known))?;
        Some((*class, *found))
    })
}

/// Splits `deleteOldRun`, `delete_old_run` and `delete-old.run` into lower-case words.
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
