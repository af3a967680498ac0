//! The name that one operation would have alone: its group and its segments within it.

use super::{
    named::Named,
    words::{
        are_alike, camel, is_preposition, is_silent, is_version, joined, segment, telling, without,
        words,
    },
};

/// Longest group, in characters.
const GROUP_CHARS_MAX: usize = 40;
/// Longest name of an operation within its group, in characters; together they stay well below what
/// a path may have.
pub(super) const OPERATION_CHARS_MAX: usize = 76;
/// Longest text that tells one from another, in characters.
const MORE_CHARS_MAX: usize = 48;
/// Segments of an operation within its group; further ones are joined.
const SEGMENTS_MAX: usize = 8;
/// Words around the name of an API in its title.
const TITLE_WORDS: [&str; 9] =
    ["api", "apis", "openapi", "rest", "service", "services", "swagger", "the", "v"];

/// What all operations of a document have in common.
#[derive(Debug, Default)]
pub(super) struct Api {
    /// The API's own name, from its title.
    words: Vec<String>,
    /// True if all operations have the same tag, and that is the API's own name.
    has_one_tag: bool,
    /// The first part of all dotted ids, where they have it in common.
    prefix: Option<String>,
}

impl Api {
    pub(super) fn of(operations: &[Named<'_>], title: &str) -> Self {
        let words: Vec<String> = words(title)
            .into_iter()
            .filter(|word| !TITLE_WORDS.contains(&word.as_str()) && !is_version(word))
            .collect();
        let mut tags = operations.iter().map(|named| named.tag);
        let first = tags.next().flatten();
        let has_one_tag = operations.len() > 1
            && first.is_some_and(|tag| are_alike(&telling(tag), &words))
            && tags.all(|tag| tag == first);
        let mut prefixes = operations
            .iter()
            .filter_map(|named| named.operation_id?.split_once('.').map(|(prefix, _)| prefix));
        let first = prefixes.next();
        let prefix =
            first.filter(|first| prefixes.clone().count() > 0 && prefixes.all(|p| p == *first));
        Self { words, has_one_tag, prefix: prefix.map(ToOwned::to_owned) }
    }
}

/// The words of a name, before they are put together.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) group: Vec<String>,
    /// Segments of words within the group; never empty.
    pub(super) segments: Vec<Vec<String>>,
}

impl Own {
    pub(super) fn of(named: &Named<'_>, api: &Api) -> Self {
        let parts = dotted(named, api);
        let group = group(named, api, parts.first());
        let above = &parts[..parts.len().saturating_sub(1)];
        let mut segments = match above.iter().position(|part| are_alike(part, &group)) {
            None => vec![from_id(named, &group, api)],
            Some(place) => below(parts.into_iter().skip(place).collect(), &group),
        };
        segments.retain(|segment| !segment.is_empty());
        if segments.is_empty() {
            segments.push(from_route(named, &group));
        }
        Self { group, segments }
    }

    pub(super) fn group(&self) -> String {
        segment(&self.group, GROUP_CHARS_MAX)
    }

    /// The operation's own name with words more, for which room is made.
    pub(super) fn operation(&self, more: &[String]) -> String {
        let more = camel(more, MORE_CHARS_MAX);
        let room = OPERATION_CHARS_MAX - more.chars().count();
        let mut written: Vec<String> =
            self.segments.iter().map(|words| segment(words, GROUP_CHARS_MAX)).collect();
        // Of many segments the first and the last say most.
        while written.len() > 2 && written.join(".").chars().count() > room {
            written.remove(1);
        }
        let own = match (written.len(), written.join(".")) {
            (2.., own) if own.chars().count() <= room => own,
            _ => segment(&self.segments.concat(), room),
        };
        joined(&own, &more)
    }
}

fn group(named: &Named<'_>, api: &Api, of_id: Option<&Vec<String>>) -> Vec<String> {
    let of_tag = named.tag.map(telling).filter(|words| !words.is_empty() && !api.has_one_tag);
    let telling: Vec<Vec<String>> = telling_segments(named.path)
        .into_iter()
        .filter(|segment| !is_variable(segment))
        .map(telling_or_all)
        .filter(|words| !words.is_empty())
        .collect();
    // A dotted id begins with a place, unless it begins with a verb.
    let of_id = of_id.filter(|first| match &of_tag {
        Some(tag) => tag.len() > first.len() && are_alike(&tag[..first.len()], first),
        None => telling.iter().any(|segment| are_alike(segment, first)),
    });
    let of_path = || telling.first().cloned();
    of_id
        .cloned()
        .or_else(|| of_tag.clone())
        .or_else(of_path)
        .unwrap_or_else(|| vec!["root".to_owned()])
}

fn telling_or_all(text: &str) -> Vec<String> {
    Some(telling(text)).filter(|words| !words.is_empty()).unwrap_or_else(|| words(text))
}

/// The parts of an id that has dots, without the API's own name in front; none for others.
fn dotted(named: &Named<'_>, api: &Api) -> Vec<Vec<String>> {
    let Some(id) = named.operation_id.map(|id| without_route(id, named)) else { return Vec::new() };
    if !id.contains('.') {
        return Vec::new();
    }
    let mut parts: Vec<Vec<String>> = id
        .split('.')
        .filter(|part| !is_version(part))
        .map(telling_or_all)
        .filter(|words| !words.is_empty())
        .collect();
    let is_of_all = api.prefix.as_deref().is_some_and(|prefix| id.starts_with(prefix));
    let first = parts.first().cloned().unwrap_or_default();
    let is_place = named.tag.is_some_and(|tag| are_alike(&telling(tag), &first))
        || telling_segments(named.path).iter().any(|place| are_alike(&words(place), &first));
    if parts.len() > 1 && !is_place && (is_of_all || are_alike(&first, &api.words)) {
        parts.remove(0);
    }
    if parts.len() > 1 { parts } else { Vec::new() }
}

/// The segments below the group, none of which is the group again.
fn below(parts: Vec<Vec<String>>, group: &[String]) -> Vec<Vec<String>> {
    // The group and the operation, nothing between them.
    let is_flat = parts.len() <= 2;
    let last = parts.len() - 1;
    let mut segments: Vec<Vec<String>> = Vec::new();
    for (at, part) in parts.into_iter().enumerate().filter(|(_, part)| !are_alike(part, group)) {
        // The `drive item` in `items.driveItem.delete` is one of the items.
        let is_one_of = |above: &Vec<String>| {
            part.len() >= above.len() && are_alike(&part[part.len() - above.len()..], above)
        };
        if at == last || !segments.last().is_some_and(is_one_of) {
            segments.push(if is_flat { without(part, group) } else { part });
        }
    }
    while segments.len() > SEGMENTS_MAX {
        let joined = segments.remove(1);
        segments[1].splice(..0, joined);
    }
    segments
}

/// The words of an id without what the group says; none where nothing is left.
fn from_id(named: &Named<'_>, group: &[String], api: &Api) -> Vec<String> {
    let Some(id) = named.operation_id else { return Vec::new() };
    let id = without_route(id, named);
    // Where the id has a group of its own, that is the group or another one, not half of it.
    if let Some((own, rest)) = id.split_once(['/', ':']) {
        let (own, rest) = (telling(own), without(telling(rest), group));
        return if are_alike(&own, group) {
            led(rest, named)
        } else {
            led([own, rest].concat(), named)
        };
    }
    let mut all = telling(id);
    let own = api.words.len();
    if own > 0
        && all.len() > own
        && are_alike(&all[..own], &api.words)
        && !are_alike(group, &api.words)
    {
        all.drain(..own);
    }
    let count = all.len();
    let left = without_place(without(all, group), named);
    let says_little = left.len() == 1 && count > 1 && left[0].chars().count() < 3;
    match left.iter().all(|word| is_version(word)) {
        true => Vec::new(),
        false if says_little => [words(named.method), left].concat(),
        false => led(left, named),
    }
}

/// The words of an id without the version and the `api` that the path has.
fn without_place(mut words: Vec<String>, named: &Named<'_>) -> Vec<String> {
    let has =
        |word: &str| path_segments(named.path).any(|segment| segment.eq_ignore_ascii_case(word));
    let is_place = |word: &String| is_version(word) && has(word);
    if !words.iter().all(is_place) {
        words.retain(|word| !is_place(word));
    }
    if words.len() > 1 && is_silent(&words[0]) && has(&words[0]) {
        words.remove(0);
    }
    words
}

/// A name that begins with where it leads is led by its method: `by name` is `get by name`.
fn led(mut words: Vec<String>, named: &Named<'_>) -> Vec<String> {
    if words.first().is_some_and(|first| is_preposition(first)) {
        words.insert(0, named.method.to_owned());
    }
    words
}

/// `get`, and what stands in the path behind the group, or all of it.
pub(super) fn from_route(named: &Named<'_>, group: &[String]) -> Vec<String> {
    let telling = telling_segments(named.path);
    let says_group =
        |segment: &&str| !is_variable(segment) && are_alike(&telling_or_all(segment), group);
    let rest = match telling.iter().rposition(says_group) {
        Some(at) => path_words(&telling[at + 1..], group),
        None => without(path_words(&telling, group), group),
    };
    [words(named.method), rest].concat()
}

/// Some frameworks write `name_path_method`, others `PetsController_name`; what only says again
/// where it is is taken off.
fn without_route<'a>(id: &'a str, named: &Named<'_>) -> &'a str {
    let route: String =
        named.path.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let id = id
        .strip_suffix(&format!("{route}_{}", named.method))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(id);
    id.split_once("Controller_").map(|(_, rest)| rest).filter(|rest| !rest.is_empty()).unwrap_or(id)
}

pub(super) fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}

pub(super) fn path_segments(path: &str) -> impl Iterator<Item = &str> {
    path.split(['?', '#'])
        .next()
        .unwrap_or_default()
        .split('/')
        .filter(|segment| !segment.is_empty())
}

/// Segments without versions and a leading `api`, as long as others remain.
pub(super) fn telling_segments(path: &str) -> Vec<&str> {
    let all = || path_segments(path).filter(|segment| !is_version(segment));
    let silent = all().take_while(|segment| is_silent(&segment.to_lowercase())).count();
    let rest: Vec<&str> = all().skip(silent).collect();
    if rest.iter().any(|segment| !is_variable(segment)) { rest } else { all().collect() }
}

/// `/pets/{petId}/toys/{toyId}` as `pets toys by toy id`.
pub(super) fn path_words(segments: &[&str], group: &[String]) -> Vec<String> {
    let named = segments.iter().filter(|segment| !is_variable(segment));
    let mut out: Vec<String> = named.flat_map(|segment| telling_or_all(segment)).collect();
    // What it is written in says nothing of it.
    if out.len() > 1 && out.last().is_some_and(|last| matches!(last.as_str(), "json" | "xml")) {
        out.pop();
    }
    if let Some(last) = segments.last().filter(|segment| is_variable(segment)) {
        out.extend(by(last, group));
    }
    out
}

/// `{petId}` as `by id`, among pets.
pub(super) fn by(variable: &str, group: &[String]) -> Vec<String> {
    let all = words(variable);
    let short = without(all.clone(), group);
    match (all.is_empty(), short.is_empty()) {
        (true, _) => all,
        (false, true) => vec!["by".to_owned(), "id".to_owned()],
        (false, false) => [vec!["by".to_owned()], short].concat(),
    }
}
