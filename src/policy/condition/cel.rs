//! CEL: expressions over `args`, `tool` and `caller`, with `json()`, `base64()`, `cidr()` and
//! `counter()`.
//!
//! The language always ends, but not always soon, so everything is bounded: the text, the tree,
//! loops in loops, and the work, reckoned from the size of the call before anything is evaluated
//! ([`super::cost`]). What is unknown is refused at load. An evaluation that fails or panics has no
//! answer.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

use base64::Engine as _;
use cel::{
    Context, Env, ExecutionError, Value as CelValue,
    common::{
        ast::{EntryExpr, Expr as Node, IdedExpr, LiteralValue, operators},
        types::{
            CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
            STRING_TYPE,
        },
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use regex::Regex;
use serde_json::{Number, Value};

use super::{
    ArgPath, Counter, Expr, NoAnswer, Subject,
    cost::{self, Size},
    structured,
};
use crate::policy::{Amount, args};

/// Longest expression, in bytes.
pub(in crate::policy) const CEL_BYTES_MAX: usize = 4096;
/// Deepest tree of an expression.
pub(in crate::policy) const CEL_DEPTH_MAX: usize = 32;
/// Deepest nesting of loops (`all`, `exists`, `map`, `filter`).
pub(in crate::policy) const LOOPS_MAX: usize = 2;
/// Our own form of `matches`, with a pattern that was compiled at load.
pub(super) const MATCHES: &str = "airlock_matches";
/// Most patterns that are kept compiled; further ones are compiled when they are used.
const PATTERNS_MAX: usize = 4096;

const FUNCTIONS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "json",
    "base64",
    "cidr",
    "counter",
];
const NAMES: &[&str] = &[
    "args",
    "tool",
    "caller",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    let declared = env
        .add_overload("json", "json_string", vec![STRING_TYPE], json)
        .and_then(|()| env.add_overload("base64", "base64_string", vec![STRING_TYPE], base64))
        .and_then(|()| {
            env.add_overload("cidr", "cidr_string_string", vec![STRING_TYPE, STRING_TYPE], cidr)
        })
        .and_then(|()| {
            env.add_overload(
                MATCHES,
                "airlock_matches_string_string",
                vec![STRING_TYPE, STRING_TYPE],
                matches,
            )
        });
    declared.expect("these names are not declared elsewhere");
    Arc::new(env)
});

static PATTERNS: LazyLock<dashmap::DashMap<String, Regex>> = LazyLock::new(dashmap::DashMap::new);

/// An expression, compiled.
#[derive(Debug)]
pub(in crate::policy) struct Expression {
    source: Box<str>,
    tree: IdedExpr,
    counters: Vec<Counter>,
    arg_paths: Vec<ArgPath>,
    /// Where it looks at the arguments' values, and where only at whether there is one.
    reads: Vec<Read>,
    /// Whether it reads the arguments otherwise than at keys that are written in it.
    reads_all: bool,
}

/// A place in the arguments that an expression looks at.
#[derive(Debug)]
struct Read {
    path: Vec<String>,
    /// Whether only to see that something is there, as `has()` does with all but its last key.
    presence: bool,
}

/// Finds the counter that `counter("TOOL", "NAME")` names.
pub(in crate::policy) type FindCounter<'a> = dyn Fn(&str, &str) -> Option<Counter> + 'a;

impl Expression {
    /// Compiles a text, or says what is wrong with it.
    pub(in crate::policy) fn compile(source: &str, find: &FindCounter<'_>) -> Result<Self, String> {
        if source.len() > CEL_BYTES_MAX {
            return Err(format!(
                "the expression has {} bytes, allowed are {CEL_BYTES_MAX}",
                source.len()
            ));
        }
        // Brackets are counted before the parser sees them: it recurses.
        let open = source
            .bytes()
            .filter(|byte| matches!(byte, b'(' | b'[' | b'{' | b'?' | b'!' | b'-'))
            .count();
        if open > 256 {
            return Err(format!("the expression has {open} brackets and signs, allowed are 256"));
        }
        let parsed = catch_unwind(|| ENV.parser().max_recursion_depth(64).parse(source));
        let parsed = parsed.map_err(|_| "the expression cannot be parsed".to_owned())?;
        let mut tree = parsed.map_err(|errors| {
            let first = errors.errors.first().map_or("unknown error", |error| error.msg.as_str());
            let (line, column) = errors.errors.first().map_or((0, 0), |error| error.pos);
            format!(
                "the expression does not parse: {} (line {line}, column {column} of the \
                expression)",
                first[..first.floor_char_boundary(200)].trim()
            )
        })?;
        let mut check = Check {
            find,
            counters: vec![],
            arg_paths: vec![],
            reads: vec![],
            passing: false,
            bound: vec![],
            mentions: 0,
            keyed: 0,
        };
        check.node(&mut tree, 1, 0)?;
        let Check { counters, arg_paths, reads, mentions, keyed, .. } = check;
        Ok(Self {
            source: source.into(),
            tree,
            counters,
            arg_paths,
            reads,
            reads_all: mentions != keyed,
        })
    }

    /// Refuses where it would read into a kept answer.
    fn sees(&self, subject: &Subject<'_>) -> Result<(), String> {
        if self.reads_all {
            subject.args.seen([], false)?;
        }
        let mut reads = self.reads.iter();
        reads.try_for_each(|read| {
            subject.args.seen(read.path.iter().map(String::as_str), read.presence)
        })
    }

    fn evaluate(&self, subject: &Subject<'_>) -> Result<CelValue, NoAnswer> {
        self.sees(subject).map_err(NoAnswer::Failed)?;
        let failed = |reason: &str| NoAnswer::Failed(reason.to_owned());
        let bindings = subject.bindings.get_or_init(|| Bindings::new(subject));
        let (steps, _) = cost::reckon(
            &self.tree,
            &mut vec![
                ("args", bindings.size),
                ("caller", bindings.around),
                ("tool", bindings.around),
            ],
        );
        // Written so that what is no number is too much.
        if !matches!(
            steps.partial_cmp(&cost::STEPS_MAX),
            Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
        ) {
            return Err(NoAnswer::Failed(format!(
                "the arguments are too large for an expression: about {steps:.0} steps, allowed \
                are {}",
                cost::STEPS_MAX
            )));
        }
        let mut context = Context::with_env(ENV.clone());
        context.set_variable_resolver(bindings);
        for (index, counter) in self.counters.iter().enumerate() {
            let value = counter.value(subject)?.as_f64();
            context.add_variable_as_val(counter_name(index), Box::new(CelDouble::from(value)));
        }
        let result = catch_unwind(AssertUnwindSafe(|| CelValue::resolve(&self.tree, &context)));
        result
            .map_err(|_| failed("the expression cannot be evaluated"))?
            .map_err(|error| NoAnswer::Failed(reason(&error)))
    }

    /// The value as an amount.
    pub(in crate::policy) fn amount(&self, subject: &Subject<'_>) -> Result<Amount, NoAnswer> {
        let amount = match self.evaluate(subject)? {
            CelValue::Int(value) => Amount::from_number(&Number::from(value)),
            CelValue::UInt(value) => Amount::whole(value),
            CelValue::Float(value) => Amount::from_f64(value),
            _ => return Err(NoAnswer::Failed("the expression for `cost` gives no number".into())),
        };
        amount.map_err(|error| NoAnswer::Failed(format!("the cost {error}")))
    }
}

impl Expr for Expression {
    fn holds(&self, subject: &Subject<'_>) -> Result<bool, NoAnswer> {
        match self.evaluate(subject)? {
            CelValue::Bool(holds) => Ok(holds),
            _ => Err(NoAnswer::Failed("the expression gives no truth value".into())),
        }
    }

    fn source(&self) -> String {
        self.source.to_string()
    }

    fn observed(&self, subject: &Subject<'_>) -> String {
        let shown = self.arg_paths.iter().take(8).map(|read| {
            let keys: Vec<Box<str>> = read.path.iter().map(|key| key.as_str().into()).collect();
            let path = read.path.join(".");
            match structured::find(&subject.args.value, &keys) {
                Some(value) => format!("args.{path} = {}", super::shown(value)),
                None => format!("args.{path} is missing"),
            }
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    fn counters(&self) -> &[Counter] {
        &self.counters
    }

    fn arg_paths(&self) -> Vec<ArgPath> {
        self.arg_paths.clone()
    }
}

fn counter_name(index: usize) -> String {
    format!("@counter{index}")
}

/// Why an evaluation failed, without the values that the interpreter's own messages hold.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => {
            let key: String = key.chars().take(64).collect();
            format!(
                "the expression reads `{key}`, which is missing; `has()` asks whether it is there"
            )
        }
        ExecutionError::NoSuchOverload(error) => {
            format!("the expression compares or calls what does not fit: {error}")
        }
        ExecutionError::UndeclaredReference(name) => {
            format!("the expression reads `{name}`, which is not known")
        }
        ExecutionError::FunctionError { function, .. } => {
            format!("`{function}` of the expression failed")
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "the expression divides by zero".into()
        }
        ExecutionError::Overflow(..) => "the expression overflows".into(),
        ExecutionError::IndexOutOfBounds(_) => {
            "the expression reads beyond the end of a list".into()
        }
        _ => "the expression compares or calls what does not fit".into(),
    }
}

/// The check of a tree at load.
struct Check<'f> {
    find: &'f FindCounter<'f>,
    counters: Vec<Counter>,
    arg_paths: Vec<ArgPath>,
    reads: Vec<Read>,
    /// Whether the node that comes next is what `has()` asks of.
    passing: bool,
    bound: Vec<String>,
    /// How often the arguments are named, and how often a key that is written there follows.
    mentions: usize,
    keyed: usize,
}

impl Check<'_> {
    fn node(&mut self, node: &mut IdedExpr, depth: usize, loops: usize) -> Result<(), String> {
        if depth > CEL_DEPTH_MAX {
            return Err(format!("the expression is nested deeper than {CEL_DEPTH_MAX}"));
        }
        let presence = std::mem::take(&mut self.passing);
        if let Some(path) = path(node) {
            self.reads.push(Read { path: path.clone(), presence });
            self.arg_paths.push(ArgPath { path, must_exist: true });
        }
        match &mut node.expr {
            Node::Unspecified => Err("the expression is empty".into()),
            Node::Literal(_) => Ok(()),
            // Whatever else the name may stand for in a loop: where it is not followed by a key, it
            // reads everything.
            Node::Ident(name) if name == "args" => {
                self.mentions += 1;
                Ok(())
            }
            Node::Ident(name) if self.bound.contains(name) || NAMES.contains(&name.as_str()) => {
                Ok(())
            }
            Node::Ident(name) => {
                Err(format!("`{name}` is not known; there are `args`, `tool` and `caller`"))
            }
            Node::Select(select) => {
                self.keyed += usize::from(is_args(&select.operand));
                let before = (self.arg_paths.len(), self.reads.len());
                self.passing = select.test;
                self.node(&mut select.operand, depth + 1, loops)?;
                if select.test {
                    // `has(args.a.b)` reads `args.a` only, and asks for `b`.
                    if let Some(mut path) =
                        path(&select.operand).or_else(|| is_args(&select.operand).then(Vec::new))
                    {
                        path.push(select.field.clone());
                        self.reads.push(Read { path: path.clone(), presence: true });
                        self.arg_paths.push(ArgPath { path, must_exist: false });
                    }
                } else if is_path(&select.operand) {
                    // The path of the whole says what its beginnings say.
                    self.arg_paths.truncate(before.0);
                    self.reads.truncate(before.1);
                }
                Ok(())
            }
            Node::List(list) => list
                .elements
                .iter_mut()
                .try_for_each(|element| self.node(element, depth + 1, loops)),
            Node::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.node(&mut entry.key, depth + 1, loops)?;
                    self.node(&mut entry.value, depth + 1, loops)
                }
                EntryExpr::StructField(_) => Err("an expression cannot make structures".into()),
            }),
            Node::Struct(_) => Err("an expression cannot make structures".into()),
            Node::Call(_) => self.call(node, depth, loops),
            Node::Comprehension(_) => self.comprehension(node, depth, loops),
        }
    }

    fn call(&mut self, node: &mut IdedExpr, depth: usize, loops: usize) -> Result<(), String> {
        let Node::Call(call) = &mut node.expr else { return Ok(()) };
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            let known = FUNCTIONS
                .iter()
                .filter(|name| name.starts_with(char::is_alphabetic))
                .map(|name| format!("`{name}`"));
            return Err(format!(
                "`{}` is no function; there are {}",
                call.func_name,
                known.collect::<Vec<_>>().join(", ")
            ));
        }
        call.target.iter_mut().try_for_each(|target| self.node(target, depth + 1, loops))?;
        call.args.iter_mut().try_for_each(|arg| self.node(arg, depth + 1, loops))?;
        if let [operand, key] = &call.args[..]
            && call.func_name == operators::INDEX
            && is_args(operand)
            && literal(key).is_some()
        {
            self.keyed += 1;
        }
        match call.func_name.as_str() {
            "counter" => {
                let [tool, name] = &call.args[..] else {
                    return Err("`counter` takes a tool and the name of a counter".into());
                };
                let (Some(tool), Some(name)) = (literal(tool), literal(name)) else {
                    return Err("`counter` takes two texts in quotes".into());
                };
                let index = self.counter(tool, name)?;
                node.expr = Node::Ident(counter_name(index));
            }
            "matches" => {
                if let Some(target) = call.target.take() {
                    call.args.insert(0, *target);
                }
                let [_, pattern] = &call.args[..] else {
                    return Err("`matches` takes a pattern".into());
                };
                let Some(pattern) = literal(pattern) else {
                    return Err("the pattern of `matches` must be a text in quotes".into());
                };
                let regex = structured::regex(pattern)?;
                if PATTERNS.len() < PATTERNS_MAX {
                    PATTERNS.insert(pattern.to_owned(), regex);
                }
                call.func_name = MATCHES.to_owned();
            }
            "cidr" => {
                let [_, network] = &call.args[..] else {
                    return Err("`cidr` takes an address and a network".into());
                };
                let network =
                    literal(network).ok_or("the network of `cidr` must be a text in quotes")?;
                network
                    .parse::<ipnet::IpNet>()
                    .map_err(|_| format!("`{network}` is no network such as `10.0.0.0/8`"))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The place of a counter among those that the expression asks for.
    fn counter(&mut self, tool: &str, name: &str) -> Result<usize, String> {
        let counter = (self.find)(tool, name)
            .ok_or_else(|| format!("no limit of `{tool}` in this file counts `{name}`"))?;
        let known = self.counters.iter().position(|known| *known == counter);
        Ok(known.unwrap_or_else(|| {
            self.counters.push(counter);
            self.counters.len() - 1
        }))
    }

    fn comprehension(
        &mut self,
        node: &mut IdedExpr,
        depth: usize,
        loops: usize,
    ) -> Result<(), String> {
        let Node::Comprehension(comprehension) = &mut node.expr else { return Ok(()) };
        if loops >= LOOPS_MAX {
            return Err(format!("loops are nested deeper than {LOOPS_MAX}"));
        }
        // A loop over what another one made counts as nested: its size is that of the product.
        self.node(&mut comprehension.iter_range, depth + 1, loops + 1)?;
        self.node(&mut comprehension.accu_init, depth + 1, loops)?;
        let known = self.bound.len();
        self.bound.extend([comprehension.accu_var.clone(), comprehension.iter_var.clone()]);
        self.bound.extend(comprehension.iter_var2.clone());
        // What a macro adds around the owner's own text is no deeper nesting of it.
        let inner =
            (&mut comprehension.loop_cond, &mut comprehension.loop_step, &mut comprehension.result);
        let checked = self
            .node(inner.0, depth, loops + 1)
            .and_then(|()| self.node(inner.1, depth, loops + 1))
            .and_then(|()| self.node(inner.2, depth, loops));
        self.bound.truncate(known);
        checked
    }
}

fn literal(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Node::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn is_args(node: &IdedExpr) -> bool {
    matches!(&node.expr, Node::Ident(name) if name == "args")
}

fn is_path(node: &IdedExpr) -> bool {
    path(node).is_some()
}

/// The keys of `args.a.b` and `args["a"].b`.
fn path(node: &IdedExpr) -> Option<Vec<String>> {
    let (operand, key) = match &node.expr {
        Node::Select(select) if !select.test => (&*select.operand, select.field.clone()),
        Node::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
            (&call.args[0], literal(&call.args[1])?.to_owned())
        }
        _ => return None,
    };
    let mut keys = if is_args(operand) { vec![] } else { path(operand)? };
    keys.push(key);
    Some(keys)
}

/// The call, in the types of CEL.
#[derive(Debug)]
pub(in crate::policy) struct Bindings<'a> {
    args: Box<dyn Val + 'a>,
    tool: Box<dyn Val + 'a>,
    caller: Box<dyn Val + 'a>,
    size: Size,
    around: Size,
}

impl<'a> Bindings<'a> {
    fn new(subject: &Subject<'a>) -> Self {
        let mut size = Size { values: 0.0, bytes: subject.args.bytes as f64, longest: 0.0 };
        let args = convert(&subject.args.value, &mut size);
        let (tool, caller) = (&subject.call.tool, &subject.call.caller);
        let tool = [
            ("path", tool.path),
            ("upstream", tool.upstream),
            ("name", tool.name),
            ("class", subject.class.as_str()),
        ];
        let caller = [
            ("workspace", caller.workspace),
            ("principal", caller.principal),
            ("role", caller.role),
            ("key", caller.key.unwrap_or_default()),
            ("session", caller.session.unwrap_or_default()),
            ("task", caller.task),
        ];
        let bytes = tool.iter().chain(&caller).map(|(_, text)| text.len()).sum::<usize>();
        let around = Size { values: 8.0, bytes: bytes as f64, longest: 6.0 };
        Self { args, tool: texts(&tool), caller: texts(&caller), size, around }
    }
}

impl VariableResolver for Bindings<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        match variable {
            "args" => Some(CowVal::Borrowed(&*self.args)),
            "tool" => Some(CowVal::Borrowed(&*self.tool)),
            "caller" => Some(CowVal::Borrowed(&*self.caller)),
            _ => None,
        }
    }
}

fn texts<'a>(pairs: &[(&'static str, &'a str)]) -> Box<dyn Val + 'a> {
    let map: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> = pairs
        .iter()
        .map(|(key, text)| {
            (CelMapKey::from(*key), Box::new(CelString::from(*text)) as Box<dyn Val + 'a>)
        })
        .collect();
    Box::new(CelMap::from(map))
}

/// A value of JSON in the types of CEL. Whole numbers are `int`, others `double`; the two compare
/// with each other.
fn convert<'a>(value: &'a Value, size: &mut Size) -> Box<dyn Val + 'a> {
    size.values += 1.0;
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (_, Some(whole)) => Box::new(CelUInt::from(whole)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => {
            size.longest = size.longest.max(items.len() as f64);
            let items: Vec<Box<dyn Val + 'a>> =
                items.iter().map(|item| convert(item, size)).collect();
            Box::new(CelList::from(items))
        }
        Value::Object(map) => {
            size.longest = size.longest.max(map.len() as f64);
            let map: HashMap<CelMapKey<'a>, Box<dyn Val + 'a>> = map
                .iter()
                .map(|(key, value)| (CelMapKey::from(key.as_str()), convert(value, size)))
                .collect();
            Box::new(CelMap::from(map))
        }
    }
}

/// As [`convert`], for a value that nothing outlives.
fn convert_owned<'v>(value: Value) -> Box<dyn Val + 'v> {
    match value {
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(items) => {
            Box::new(CelList::from(items.into_iter().map(convert_owned).collect::<Vec<_>>()))
        }
        Value::Object(map) => {
            let map: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = map
                .into_iter()
                .map(|(key, value)| (CelMapKey::from(key), convert_owned(value)))
                .collect();
            Box::new(CelMap::from(map))
        }
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Box::new(CelInt::from(whole)),
            (_, Some(whole)) => Box::new(CelUInt::from(whole)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::Bool(truth) => Box::new(CelBool::from(truth)),
        Value::Null => Box::new(CelNull),
    }
}

fn text<'c>(
    function: &str,
    arguments: &'c [CowVal<'_, '_>],
    index: usize,
) -> Result<&'c str, ExecutionError> {
    let text = arguments.get(index).and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    text.map(|text| text.inner())
        .ok_or_else(|| ExecutionError::function_error(function, "takes texts"))
}

/// `json(TEXT)`: the value that a text of JSON holds; a key that stands twice is an error.
fn json<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args::json(text("json", &arguments, 0)?)
        .map_err(|error| ExecutionError::function_error("json", error))?;
    Ok(CowVal::Owned(convert_owned(value)))
}

/// `base64(TEXT)`: the text that base64 holds, with or without padding, in either alphabet.
fn base64<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    use base64::{
        alphabet,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let failed = |reason: &str| ExecutionError::function_error("base64", reason);
    let encoded = text("base64", &arguments, 0)?;
    let alphabet =
        if encoded.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    let bytes = GeneralPurpose::new(&alphabet, LENIENT)
        .decode(encoded)
        .map_err(|_| failed("is no base64"))?;
    let decoded = String::from_utf8(bytes).map_err(|_| failed("holds no text"))?;
    Ok(CowVal::owned(CelString::from(decoded)))
}

/// `cidr(ADDRESS, NETWORK)`: whether the address is in the network. An IPv4 address written as IPv6
/// is an IPv4 address.
fn cidr<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let failed = |reason: &str| ExecutionError::function_error("cidr", reason);
    let address: std::net::IpAddr =
        text("cidr", &arguments, 0)?.parse().map_err(|_| failed("no address"))?;
    let network: ipnet::IpNet =
        text("cidr", &arguments, 1)?.parse().map_err(|_| failed("no network"))?;
    Ok(CowVal::owned(CelBool::from(network.contains(&address.to_canonical()))))
}

/// `TEXT.matches(PATTERN)`, with a pattern that was compiled at load.
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (subject, pattern) = (text("matches", &arguments, 0)?, text("matches", &arguments, 1)?);
    let found = match PATTERNS.get(pattern) {
        Some(regex) => regex.is_match(subject),
        None => structured::regex(pattern)
            .map_err(|error| ExecutionError::function_error("matches", error))?
            .is_match(subject),
    };
    Ok(CowVal::owned(CelBool::from(found)))
}
