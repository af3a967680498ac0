//! Every file of `tests/policies/intercept`: imported, loaded, and asked what stands beside it; and
//! asked at random, where the original's own reading of the file says what must come out.

use std::{collections::BTreeMap, path::PathBuf};

use airlock::{
    model::Schema,
    policy::import::{Dialect, ImportOptions, Imported, import},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    judge::{Judge, load, midnight},
    original::{Original, yaml},
};

/// Files there are at the least.
const FILES_MIN: usize = 40;
/// Calls at random for each file.
const RANDOM_CALLS: u64 = 60;

/// What stands beside a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    upstream: String,
    #[serde(default)]
    schemas: BTreeMap<String, Value>,
    calls: Vec<Asked>,
}

/// A call, or several, and the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    tool: String,
    args: Value,
    /// Seconds that pass before it.
    #[serde(default)]
    after: u64,
    #[serde(default)]
    times: Option<u32>,
    /// Whether the upstream fails.
    #[serde(default)]
    fails: bool,
    expect: String,
    rule: Option<String>,
    message: Option<String>,
}

fn files() -> Vec<(String, String, Expected)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policies/intercept"));
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let policies = files.iter().filter(|path| !path.to_string_lossy().ends_with(".expect.yaml"));
    policies
        .map(|path| {
            let beside = path.with_extension("expect.yaml");
            let expected = std::fs::read_to_string(&beside)
                .unwrap_or_else(|_| panic!("{} is missing", beside.display()));
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read_to_string(path).unwrap(),
                yaml(&expected),
            )
        })
        .collect()
}

fn imported(file: &str, text: &str, upstream: &str) -> Imported {
    let options = ImportOptions { upstream: Some(upstream), compat_warn: false };
    import(Dialect::Intercept, file, text, options)
        .unwrap_or_else(|problems| panic!("{file}: {problems:#?}"))
}

async fn judge(file: &str, text: &str, expected: &Expected) -> Judge {
    let policy =
        load(text, None).unwrap_or_else(|problems| panic!("{file}: {problems:#?}\n{text}"));
    let mut judge = Judge::over(policy, &expected.upstream).await;
    judge.schemas = expected
        .schemas
        .iter()
        .map(|(tool, schema)| (tool.clone(), Schema::new(schema).unwrap()))
        .collect();
    judge
}

#[tokio::test]
async fn every_file_of_intercepts_form_is_imported_and_answers_as_it_says() {
    let files = files();
    assert!(files.len() >= FILES_MIN, "{} files", files.len());
    let mut wrong = vec![];
    for (file, text, expected) in files {
        let ours = imported(&file, &text, &expected.upstream).layers.remove(0).text;
        let mut judge = judge(&file, &ours, &expected).await;
        let mut original = Original::read(&text);
        for asked in &expected.calls {
            judge.pass(asked.after);
            for _ in 0..asked.times.unwrap_or(1) {
                let theirs =
                    original.call(&asked.tool, &asked.args, judge.now.as_second(), asked.fails);
                assert_eq!(theirs, asked.expect, "{file}: the table itself is wrong: {asked:?}");
                let answer = judge.call(&asked.tool, &asked.args.to_string(), asked.fails).await;
                // An argument that does not say what a call costs is refused there as an internal
                // error, and here as one of policy.
                let what = if answer.what == "error" { "deny" } else { answer.what };
                let rule_fits = asked.rule.is_none() || asked.rule == answer.rule;
                let message_fits = asked
                    .message
                    .as_ref()
                    .is_none_or(|message| answer.message.contains(message.as_str()));
                if what != asked.expect || !rule_fits || !message_fits {
                    wrong.push(format!("{file}: {asked:?}: {answer:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_imported_file_answers_random_calls_as_the_original_would() {
    let mut dice = Dice(7);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut in_doubt = 0;
    for (file, text, expected) in files() {
        let ours = imported(&file, &text, &expected.upstream).layers.remove(0).text;
        let mut judge = judge(&file, &ours, &expected).await;
        let mut original = Original::read(&text);
        let mut tools = original.tools();
        tools.push("a_tool_that_no_file_names".into());
        for _ in 0..RANDOM_CALLS {
            let tool = &tools[dice.below(tools.len() as u64) as usize];
            let conditions = original.conditions(tool);
            let args = dice.arguments(&conditions);
            let fails = dice.below(5) == 0;
            judge.pass(dice.below(25));
            let before = original.clone();
            let theirs = original.call(tool, &args, judge.now.as_second(), fails);
            let answer = judge.call(tool, &args.to_string(), fails).await;
            let what = if answer.what == "error" { "deny" } else { answer.what };
            // A value of another type than the one that a rule compares is in doubt, and denied
            // here; there the comparison is false, or true of `neq` and `not_in`.
            if what == "deny"
                && matches!(theirs, "allow" | "ask")
                && has_other_type(&args, &conditions)
            {
                original = before;
                in_doubt += 1;
                continue;
            }
            assert_eq!(
                what,
                theirs,
                "{file}: {tool} {args} {}s: {answer:?}\n{ours}",
                judge.now.as_second() - midnight().as_second()
            );
            *seen.entry(theirs).or_default() += 1;
        }
    }
    let all: u32 = seen.values().sum();
    assert!(in_doubt < all / 4, "{in_doubt} of {all} calls were in doubt");
    for what in ["allow", "ask", "deny", "rate_limited", "hidden"] {
        assert!(seen.get(what).is_some_and(|count| *count > 10), "too few of {what}: {seen:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_bound_to_an_upstream_needs_no_import() {
    for (file, text, expected) in files() {
        let ours = imported(&file, &text, &expected.upstream).layers.remove(0).text;
        let whole = judge(&file, &ours, &expected).await;
        let policy = load(&text, Some(&expected.upstream))
            .unwrap_or_else(|problems| panic!("{file}: {problems:#?}"));
        let direct = Judge::over(policy, &expected.upstream).await;
        for asked in &expected.calls {
            let (one, other) = (
                whole.decide(&asked.tool, &asked.args.to_string()).await,
                direct.decide(&asked.tool, &asked.args.to_string()).await,
            );
            // Read as a file of ours, an entry that asks sometimes lists nothing under `default:
            // deny`; the import says that it does.
            let stricter = text.contains("default: deny")
                && text.contains("require_approval")
                && other.verdict.as_str() == "deny";
            assert!(
                stricter || one.verdict.as_str() == other.verdict.as_str(),
                "{file}: {asked:?}: {other:?}"
            );
            assert!(
                stricter || one.reservations.len() == other.reservations.len(),
                "{file}: {asked:?}"
            );
        }
    }
}

/// A small generator with a fixed seed: a failure comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // Constants of Knuth's MMIX; the high bits are the better ones.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Arguments around the values that conditions compare with.
    fn arguments(&mut self, conditions: &[(String, Value)]) -> Value {
        let mut args = json!({});
        for (path, value) in conditions {
            let chosen = match self.below(8) {
                0 => continue,
                1 => Value::Null,
                2 => json!("some other text"),
                3 => json!([value]),
                4 => self.near(value, 1),
                5 => self.near(value, -1),
                _ => self.near(value, 0),
            };
            put(&mut args, path, chosen);
        }
        args
    }

    fn near(&mut self, value: &Value, by: i64) -> Value {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(number) => (number + by).into(),
                None => (number.as_f64().unwrap() + by as f64).into(),
            },
            Value::Array(list) if !list.is_empty() => {
                list[self.below(list.len() as u64) as usize].clone()
            }
            other => other.clone(),
        }
    }
}

/// Returns true if an argument has another type than the value that a condition compares it with.
fn has_other_type(args: &Value, conditions: &[(String, Value)]) -> bool {
    let is_same = |given: &Value, value: &Value| {
        std::mem::discriminant(given) == std::mem::discriminant(value)
    };
    conditions.iter().any(|(path, value)| {
        let given = args.pointer(&format!("/{}", path.replace('.', "/")));
        given.filter(|given| !given.is_null()).is_some_and(|given| match value {
            Value::Array(items) => !items.iter().any(|item| is_same(given, item)),
            value => !is_same(given, value),
        })
    })
}

fn put(args: &mut Value, path: &str, value: Value) {
    let mut at = args;
    let parts: Vec<&str> = path.split('.').collect();
    for part in &parts[..parts.len() - 1] {
        let map = at.as_object_mut().unwrap();
        let below = map.entry(*part).or_insert_with(|| Value::Object(Map::new()));
        if !below.is_object() {
            *below = json!({});
        }
        at = below;
    }
    at.as_object_mut().unwrap().insert(parts[parts.len() - 1].into(), value);
}
