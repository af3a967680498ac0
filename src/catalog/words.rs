//! Splits names, texts and questions into the same words.

/// Longest word that is kept, in characters; the rest of it is dropped.
const WORD_CHARS_MAX: usize = 40;
/// Words of a question that say nothing about a tool.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "any", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in", "into", "is",
    "it", "its", "me", "my", "of", "on", "or", "please", "some", "that", "the", "their", "them", "this", "to", "tool", "tools",
    "use", "using", "want", "what", "which", "with", "you", "your",
];

/// Lower-case stems in order: `getPullRequests` gives `get pull request`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut previous: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_alphanumeric() {
            finish(&mut word, &mut out);
            previous = None;
            continue;
        }
        let next_is_lower = chars.peek().is_some_and(|next| next.is_lowercase());
        let hump = previous
            .is_some_and(|p| (p.is_lowercase() && c.is_uppercase()) || (p.is_uppercase() && c.is_uppercase() && next_is_lower));
        if hump || previous.is_some_and(|p| p.is_numeric() != c.is_numeric()) {
            finish(&mut word, &mut out);
        }
        word.extend(c.to_lowercase());
        previous = Some(c);
    }
    finish(&mut word, &mut out);
    out
}

/// The words of a question: each once, without those that say nothing, unless there are no others.
pub(super) fn question(text: &str, words_max: usize) -> Vec<String> {
    let mut all = words(text);
    let mut seen = std::collections::HashSet::new();
    all.retain(|word| seen.insert(word.clone()));
    let telling: Vec<String> = all.iter().filter(|word| !STOP_WORDS.contains(&word.as_str())).cloned().collect();
    let mut chosen = if telling.is_empty() { all } else { telling };
    chosen.truncate(words_max);
    chosen
}

fn finish(word: &mut String, out: &mut Vec<String>) {
    if !word.is_empty() {
        let whole = std::mem::take(word);
        out.push(stem(whole.chars().take(WORD_CHARS_MAX).collect()));
    }
}

/// Strips the endings of number and tense that English words take, so that `issues`, `listing` and `created` are found by
/// `issue`, `list` and `create`. Light on purpose: a false match costs more than a missed ending.
fn stem(mut word: String) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word;
    }
    if word.ends_with("ies") && word.len() > 4 {
        word.truncate(word.len() - 3);
        word.push('i');
        return word;
    }
    if ["ches", "shes", "sses", "xes", "zes"].iter().any(|ending| word.ends_with(ending)) {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !["ss", "us", "is"].iter().any(|ending| word.ends_with(ending)) {
        word.truncate(word.len() - 1);
    }
    for (ending, rest_min) in [("ing", 3), ("ed", 3)] {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.len() >= rest_min
            && rest.contains(['a', 'e', 'i', 'o', 'u', 'y'])
        {
            let mut rest = rest.to_owned();
            let doubled = rest.len() > 3 && rest.as_bytes()[rest.len() - 1] == rest.as_bytes()[rest.len() - 2];
            if doubled && !rest.ends_with(['l', 's', 'z']) {
                rest.pop();
            }
            word = rest;
            break;
        }
    }
    if word.len() > 3 && word.ends_with('e') {
        word.pop();
    } else if word.len() > 3 && word.ends_with('y') {
        word.pop();
        word.push('i');
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_style_give_the_same_words() {
        let expected = ["get", "pull", "request"];
        for name in ["getPullRequests", "get_pull_request", "get-pull-requests", "GetPullRequest", "GET PULL REQUEST"] {
            assert_eq!(words(name), expected, "{name}");
        }
        assert_eq!(words("parseHTTPResponse2"), ["pars", "http", "respons", "2"]);
    }

    #[test]
    fn endings_of_number_and_tense_fall() {
        for (one, other) in [
            ("issue", "issues"),
            ("create", "creating"),
            ("create", "created"),
            ("list", "listing"),
            ("repository", "repositories"),
            ("search", "searches"),
            ("query", "queries"),
            ("plan", "planned"),
            ("box", "boxes"),
        ] {
            assert_eq!(words(one), words(other), "{one} {other}");
        }
        for word in ["status", "access", "bus", "string", "red"] {
            assert_eq!(words(word), [word]);
        }
    }

    #[test]
    fn a_question_keeps_its_telling_words_or_all_of_them() {
        assert_eq!(question("how do I add the numbers", 8), ["add", "number"]);
        assert_eq!(question("to the", 8), ["to", "the"]);
    }
}
