//! Hints: one line that names the alternative to a feature that other runtimes have.

/// For code over a limit.
pub(super) const SPLIT_UP: &str =
    "split the program: do a part per `execute` call, and pass large values as data, not as code";
/// For decorators.
pub(super) const DECORATORS: &str =
    "call the decorator as a function on the class or method instead";
/// For imports of any kind.
pub(super) const IMPORT: &str = "there are no modules here: write the code inline, and call \
    outside services through `tools` (find them with `tools.discover(\"…\")`)";
/// For JSX.
pub(super) const JSX: &str = "build the string or the object yourself: there is no JSX here";

const NETWORK: &str = "there is no network here: find a tool with `await tools.discover(\"…\")` \
    and call it through `tools`";
const FILES: &str = "there is no file system here: find a tool with `await \
    tools.discover(\"…\")`, or return the value";
const ENVIRONMENT: &str = "there is no process or environment here: secrets stay with the host; \
    call outside services through `tools`, end with `return`";
const BYTES: &str =
    "use `Uint8Array` with `TextEncoder`, `TextDecoder`, `atob` and `btoa` instead of `Buffer`";
const BROWSER: &str =
    "there is no page here: use `tools` for the outside and `return` for the result";
const STORAGE: &str =
    "nothing is stored between tasks here: return the value, or keep it through a tool";
const CODE_FROM_TEXT: &str =
    "code cannot be created from strings here: write it out, or send it as another `execute` call";
const WASM: &str = "there is no WebAssembly here: use plain TypeScript, or a tool";
const SHARED: &str =
    "there are no threads here: use `ArrayBuffer`, and `Promise.all` for calls at the same time";
const EXPORTS: &str = "there are no modules here: end with `return value`";
const PATHS: &str =
    "there are no files here, so the code has no path: the program is the text that was sent";
const RUNTIME: &str = "this is neither Node, Deno nor Bun: what reaches the outside is `tools` \
    (find one with `tools.discover(\"…\")`)";
const IMMEDIATE: &str = "use `setTimeout(…, 0)` or `queueMicrotask(…)`";
const SUBTLE: &str =
    "only `crypto.subtle.digest`, `crypto.randomUUID` and `crypto.getRandomValues` exist";
const MARKDOWN: &str = "send the program alone, without the Markdown around it";
const HTML: &str = "the code has HTML escapes such as `&lt;`, `&amp;` or `&quot;`: send it as it \
    is, without escaping it for HTML";
const ESCAPED: &str = "the code is escaped once too often: line breaks and quotes stand in it as \
    `\\n` and `\\\"`; send it as it is";
const LINE_BREAK: &str = "a string in quotes ends on its line: write `\\n` for a line break in it, \
    or use a template in backticks";
const TYPOGRAPHIC: &str = "the code has typographic quotes such as `“` or `’`: write `\"`, `'` or \
    backticks";
const RETURN_VALUE: &str = "the program's value is what it returns: end with `return value`";

/// Names that other runtimes define, each with its hint.
const MISSING: &[(&str, &str)] = &[
    ("fetch", NETWORK),
    ("XMLHttpRequest", NETWORK),
    ("WebSocket", NETWORK),
    ("EventSource", NETWORK),
    ("Headers", NETWORK),
    ("Request", NETWORK),
    ("Response", NETWORK),
    ("axios", NETWORK),
    ("http", NETWORK),
    ("https", NETWORK),
    ("net", NETWORK),
    ("require", IMPORT),
    ("import", IMPORT),
    ("importScripts", IMPORT),
    ("module", EXPORTS),
    ("exports", EXPORTS),
    ("process", ENVIRONMENT),
    ("env", ENVIRONMENT),
    ("global", "use `globalThis`"),
    ("Deno", RUNTIME),
    ("Bun", RUNTIME),
    ("Buffer", BYTES),
    ("Blob", BYTES),
    ("File", BYTES),
    ("FileReader", BYTES),
    ("fs", FILES),
    ("path", PATHS),
    ("os", ENVIRONMENT),
    ("child_process", ENVIRONMENT),
    ("__dirname", PATHS),
    ("__filename", PATHS),
    ("window", BROWSER),
    ("document", BROWSER),
    ("navigator", BROWSER),
    ("location", BROWSER),
    ("self", "use `globalThis`"),
    ("alert", "use `console.log`"),
    ("prompt", BROWSER),
    ("localStorage", STORAGE),
    ("sessionStorage", STORAGE),
    ("indexedDB", STORAGE),
    ("caches", STORAGE),
    ("eval", CODE_FROM_TEXT),
    ("Function", CODE_FROM_TEXT),
    ("WebAssembly", WASM),
    ("SharedArrayBuffer", SHARED),
    ("Atomics", SHARED),
    ("Worker", SHARED),
    ("setImmediate", IMMEDIATE),
    ("Temporal", "use `Date` and `Intl.DateTimeFormat`"),
];

/// Names of the HTML escapes that code has most often.
const HTML_ESCAPES: [&str; 8] = ["lt", "gt", "amp", "quot", "apos", "nbsp", "#39", "#x27"];

/// Quotes that word processors put in the place of those of code.
const TYPOGRAPHIC_QUOTES: [char; 8] = ['“', '”', '„', '‟', '‘', '’', '‚', '‛'];

/// Returns the hint for an error at run time of this source, if its cause is known.
pub(super) fn for_error(name: &str, message: &str, source: &str) -> Option<&'static str> {
    if message.contains("Code generation from strings disallowed") {
        return Some(CODE_FROM_TEXT);
    }
    match name {
        "ReferenceError" => {
            let missed = message.strip_suffix(" is not defined")?;
            match HTML_ESCAPES.contains(&missed) && source.contains(&entity(missed)) {
                true => Some(HTML),
                false => missing(missed),
            }
        }
        "TypeError" if message.starts_with("crypto.subtle.") => Some(SUBTLE),
        "TypeError" => {
            missing(message.strip_suffix(" is not a function")?.strip_prefix("globalThis.")?)
        }
        _ => None,
    }
}

/// Returns the hint for a program that does not parse at byte `at`, if its cause is known.
pub(super) fn for_syntax(message: &str, program: &str, at: usize) -> Option<&'static str> {
    if program.lines().any(|line| line.trim_start().starts_with("```")) {
        return Some(MARKDOWN);
    }
    if let Some(hint) = escaped(message, program, at) {
        return Some(hint);
    }
    if message.contains("import") {
        return Some(IMPORT);
    }
    message.contains("export").then_some(RETURN_VALUE)
}

/// Returns the hint for code that arrived with escapes that belong to its transport.
fn escaped(message: &str, program: &str, at: usize) -> Option<&'static str> {
    let (before, after) = program.split_at(program.floor_char_boundary(at));
    let start = before.rfind('\n').map_or(0, |line_break| line_break + 1);
    let end = before.len() + after.find('\n').unwrap_or(after.len());
    let line = &program[start..end];
    if HTML_ESCAPES.iter().any(|escape| line.contains(&entity(escape))) {
        return Some(HTML);
    }
    let is_near = before.trim_end().ends_with('\\') || after.starts_with('\\');
    if is_near && [r"\n", r"\r", r"\t", r#"\""#, r"\'"].iter().any(|escape| line.contains(escape)) {
        return Some(ESCAPED);
    }
    let is_unterminated = message.contains("Unterminated string");
    let is_typographic = match is_unterminated {
        true => line.contains(TYPOGRAPHIC_QUOTES),
        false => after.starts_with(TYPOGRAPHIC_QUOTES) || before.ends_with(TYPOGRAPHIC_QUOTES),
    };
    if is_typographic {
        return Some(TYPOGRAPHIC);
    }
    is_unterminated.then_some(LINE_BREAK)
}

fn entity(name: &str) -> String {
    format!("&{name};")
}

fn missing(name: &str) -> Option<&'static str> {
    MISSING.iter().find(|(known, _)| *known == name).map(|(_, hint)| *hint)
}
