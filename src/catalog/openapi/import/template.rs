//! The path of an operation: texts, variables, and what real documents write into it besides: a
//! query, a fragment that tells operations apart, variables in which slashes stay.

use std::collections::{BTreeMap, HashSet};

use super::parameters::{PARAMETER_BYTES_MAX, PARAMETERS_MAX, Written, spelling, undescribed};
use crate::{
    base::text::cut,
    catalog::{
        openapi::{
            plan::{Part, Place, Template},
            security::{Asked, Asking},
        },
        schema::dialect::flag,
    },
};

/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 2_000;

/// The path with its variables; one that is not described takes a text. Variables of a query that
/// stands in the path become parameters of the query. Parameters of the path that it does not have
/// are added to `left_out`.
pub(super) fn template<'d>(
    path: &str,
    asking: &Asking<'_>,
    written: &mut Vec<Written<'d>>,
    left_out: &mut Vec<String>,
) -> Result<Template, String> {
    if !path.starts_with('/') || path.len() > PATH_BYTES_MAX {
        return Err(format!("a path begins with `/` and has at most {PATH_BYTES_MAX} bytes"));
    }
    let path = plain(path, |name| is_described(written, name));
    let (path, query) = parted(path.split('#').next().unwrap_or_default());
    let mut reader = Reader { asking, written, used: HashSet::new(), gone: HashSet::new() };
    let mut parts = Vec::new();
    // The path with something in the place of each variable.
    let mut skeleton = String::new();
    let mut rest = path;
    while let Some((before, inner)) = rest.split_once('{') {
        let (variable, after) =
            inner.split_once('}').ok_or("a variable of its path is not closed")?;
        parts.push(Part::Text(literal(before)?));
        skeleton.push_str(before);
        rest = after;
        if let Some(names) = variable.strip_prefix(['?', '&']) {
            for name in names.split(',').map(|name| name.trim_matches(['*', ' '])) {
                reader.query_variable(name, name)?;
            }
            continue;
        }
        skeleton.push('x');
        parts.push(Part::Variable(reader.path_variable(variable)?));
    }
    parts.push(Part::Text(literal(rest)?));
    skeleton.push_str(rest);
    let is_step = |segment: &str| {
        matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    };
    if skeleton.split('/').any(is_step) {
        return Err("its path holds a segment `.` or `..`".to_owned());
    }
    let mut fixed = url::form_urlencoded::Serializer::new(String::new());
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(['{', '}']) {
            let (key, name) = variable_pair(pair).ok_or_else(|| {
                format!("the query in its path has `{}`, which cannot be filled in", cut(pair, 60))
            })?;
            reader.query_variable(key, name)?;
        } else {
            fixed.extend_pairs(url::form_urlencoded::parse(pair.as_bytes()));
        }
    }
    let fixed = fixed.finish();
    let Reader { used, gone, .. } = reader;
    drop_unused(written, &mut parts, |at, one| {
        let is_astray = one.plan.place == Place::Path && !used.contains(&at);
        if is_astray {
            let name = cut(&one.plan.name, 60);
            left_out
                .push(format!("parameter `{name}` is in `path`, but its path has no `{{{name}}}`"));
        }
        is_astray || gone.contains(&at)
    });
    Ok(Template { parts, query: (!fixed.is_empty()).then_some(fixed) })
}

fn is_described(written: &[Written<'_>], name: &str) -> bool {
    written.iter().any(|one| one.plan.place == Place::Path && one.plan.name == name)
}

/// The path with its variables as OpenAPI writes them: `{id}` for `{id:[0-9]{3}}`, and for the
/// segments `:id`, `<id>` and `<int:id>` where such a parameter is described.
fn plain(path: &str, is_described: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(['{', '/']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        let (written, variable) = match here.strip_prefix('{') {
            Some(inner) => {
                let whole = &inner[..closing(inner).unwrap_or(0)];
                let name = whole.split_once(':').map(|(name, _)| name.trim());
                let name = name.filter(|name| is_name(name) && !is_described(whole));
                (whole.len() + 2, name)
            }
            None => {
                let segment = here[1..].split(['/', '?', '#']).next().unwrap_or_default();
                let within = segment.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
                let within = within.map(|name| name.rsplit(':').next().unwrap_or_default());
                let name = segment.strip_prefix(':').or(within);
                (segment.len() + 1, name.filter(|name| is_described(name)))
            }
        };
        let Some(name) = variable else {
            out.push_str(&here[..1]);
            rest = &here[1..];
            continue;
        };
        if here.starts_with('/') {
            out.push('/');
        }
        out.extend(["{", name, "}"]);
        rest = &here[written..];
    }
    out + rest
}

/// The position of the brace that ends a variable, whose pattern may have braces of its own.
fn closing(inner: &str) -> Option<usize> {
    let mut depth = 0;
    inner.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        None
    })
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.chars().all(is_letter)
}

/// The path and the query in it; the question mark of `{?name}` begins none.
fn parted(path: &str) -> (&str, Option<&str>) {
    let mut is_within = false;
    for (at, c) in path.char_indices() {
        match c {
            '{' => is_within = true,
            '}' => is_within = false,
            '?' if !is_within => return (&path[..at], Some(&path[at + 1..])),
            _ => {}
        }
    }
    (path, None)
}

/// `key={name}`, or `{name}`, which is its own key.
fn variable_pair(pair: &str) -> Option<(&str, &str)> {
    let (key, value) = pair.split_once('=').unwrap_or(("", pair));
    let name = value.strip_prefix('{')?.strip_suffix('}')?.trim();
    let is_plain = |text: &str| !text.contains(['{', '}']);
    (is_plain(key) && is_plain(name) && !name.is_empty())
        .then_some((if key.is_empty() { name } else { key }, name))
}

struct Reader<'r, 'd> {
    asking: &'r Asking<'r>,
    written: &'r mut Vec<Written<'d>>,
    /// Parameters that stand in the path.
    used: HashSet<usize>,
    /// Parameters that a caller does not give.
    gone: HashSet<usize>,
}

impl Reader<'_, '_> {
    fn known(&self, place: Place, name: &str) -> Option<usize> {
        self.written.iter().position(|one| one.plan.place == place && one.plan.name == name)
    }

    fn added(&mut self, name: &str, place: Place) -> Result<usize, String> {
        if name.is_empty()
            || name.len() > PARAMETER_BYTES_MAX
            || self.written.len() >= PARAMETERS_MAX
        {
            return Err("its path has a variable that cannot be named".to_owned());
        }
        self.written.push(undescribed(name, place));
        Ok(self.written.len() - 1)
    }

    /// The position of a variable. `{+name}`, `{name+}` and `{*name}` are no part of OpenAPI; they
    /// are found all the same, and slashes stay in their values.
    fn path_variable(&mut self, variable: &str) -> Result<usize, String> {
        let variable = variable.trim();
        let keeps_slashes = variable.starts_with(['+', '*']) || variable.ends_with('+');
        let name = variable.trim_matches(['*', '+']);
        let at = match self.known(Place::Path, name) {
            Some(at) => at,
            None => self.added(name, Place::Path)?,
        };
        self.written[at].plan.spelling.reserved |= keeps_slashes;
        self.used.insert(at);
        Ok(at)
    }

    /// A variable of the query: sent as `key`, given as `name`.
    fn query_variable(&mut self, key: &str, name: &str) -> Result<(), String> {
        let known = [(Place::Query, key), (Place::Query, name), (Place::Path, name)];
        let at = known.into_iter().find_map(|(place, name)| self.known(place, name));
        let at = match at {
            Some(at) => at,
            None => self.added(name, Place::Query)?,
        };
        let one = &mut self.written[at];
        if one.plan.place == Place::Path {
            one.plan.place = Place::Query;
            one.plan.spelling = spelling(one.object, Place::Query);
            one.is_required = flag(one.object, "required");
        }
        key.clone_into(&mut one.plan.name);
        match self.asking.asked("query", key, one.is_required, one.schema) {
            Asked::Never => drop(self.gone.insert(at)),
            Asked::AtWill => one.is_required = false,
            Asked::AsDescribed => {}
        }
        Ok(())
    }
}

/// Takes out parameters that are not sent, so that the parts lead to those that stay.
fn drop_unused(
    written: &mut Vec<Written<'_>>,
    parts: &mut [Part],
    mut is_unused: impl FnMut(usize, &Written<'_>) -> bool,
) {
    let (mut at, mut kept) = (0, 0);
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    written.retain(|one| {
        let keep = !is_unused(at, one);
        if keep {
            moved.insert(at, kept);
            kept += 1;
        }
        at += 1;
        keep
    });
    for part in parts {
        if let Part::Variable(at) = part {
            *at = moved.get(at).copied().unwrap_or_default();
        }
    }
}

/// A part of a path, as written in a URL.
fn literal(text: &str) -> Result<String, String> {
    let mut url = url::Url::parse("http://h/").map_err(|_| "its path cannot be read")?;
    // Alone, a part such as `..` of `{a}..` would be taken for a whole segment.
    url.set_path(&format!("x{text}x"));
    let path = url.path().strip_prefix("/x").and_then(|path| path.strip_suffix('x'));
    path.map(str::to_owned).ok_or_else(|| "its path cannot be read".to_owned())
}
