//! Checks an expression when it is loaded: only known names and functions, bounded depth and loops.
//! Replaces `counter`, `matches` and the operators `==`, `!=` and `in` by their internal forms.

use cel::common::ast::{EntryExpr, Expr as Node, IdedExpr, LiteralValue, operators};

use super::{
    equality,
    functions::{MATCHES, prepare_pattern},
};
use crate::policy::condition::{counter::Counter, subject::ArgPath};

/// Deepest tree of an expression.
const DEPTH_MAX: usize = 32;
/// Deepest nesting of loops (`all`, `exists`, `map`, `filter`).
const LOOPS_MAX: usize = 2;

/// Functions and operators that expressions may call.
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
/// Variables and type names that expressions may use.
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

/// Path in the arguments that an expression reads.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) path: Vec<String>,
    /// The expression only tests the presence of the value, with `has()`.
    pub(super) presence_only: bool,
}

/// Resolves the counter that `counter("TOOL", "NAME")` refers to.
pub(in crate::policy) type FindCounter<'a> = dyn Fn(&str, &str) -> Option<Counter> + 'a;

/// Returns the variable that holds the value of a counter.
pub(super) fn counter_name(index: usize) -> String {
    format!("@counter{index}")
}

/// Check of an expression tree at load. Collects what the expression reads.
pub(super) struct Check<'f> {
    find: &'f FindCounter<'f>,
    pub(super) counters: Vec<Counter>,
    pub(super) arg_paths: Vec<ArgPath>,
    pub(super) reads: Vec<Read>,
    /// The next node is the operand of `has()`.
    in_has: bool,
    /// Variables of the enclosing loops.
    bound: Vec<String>,
    /// Number of times that `args` occurs.
    mentions: usize,
    /// Number of times that `args` is followed by a literal key.
    keyed: usize,
}

impl<'f> Check<'f> {
    pub(super) fn new(find: &'f FindCounter<'f>) -> Self {
        Self {
            find,
            counters: vec![],
            arg_paths: vec![],
            reads: vec![],
            in_has: false,
            bound: vec![],
            mentions: 0,
            keyed: 0,
        }
    }

    /// Returns true if the expression reads the arguments other than at literal keys.
    pub(super) fn reads_all(&self) -> bool {
        self.mentions != self.keyed
    }

    /// Checks the whole tree.
    pub(super) fn tree(&mut self, tree: &mut IdedExpr) -> Result<(), String> {
        self.node(tree, 1, 0)
    }

    fn node(&mut self, node: &mut IdedExpr, depth: usize, loops: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("the expression is nested deeper than {DEPTH_MAX}"));
        }
        let presence_only = std::mem::take(&mut self.in_has);
        if let Some(path) = arg_path(node) {
            self.reads.push(Read { path: path.clone(), presence_only });
            self.arg_paths.push(ArgPath { path, must_exist: true });
        }
        match &mut node.expr {
            Node::Unspecified => Err("the expression is empty".into()),
            Node::Literal(_) => Ok(()),
            // Even as the name of a loop variable: `args` without a literal key reads everything.
            Node::Ident(name) if name == "args" => {
                self.mentions += 1;
                Ok(())
            }
            Node::Ident(name) if self.bound.contains(name) || NAMES.contains(&name.as_str()) => {
                Ok(())
            }
            Node::Ident(name) => {
                Err(format!("`{name}` is not known; the variables are `args`, `tool` and `caller`"))
            }
            Node::Select(select) => {
                self.keyed += usize::from(is_args(&select.operand));
                let before = (self.arg_paths.len(), self.reads.len());
                self.in_has = select.test;
                self.node(&mut select.operand, depth + 1, loops)?;
                if select.test {
                    // `has(args.a.b)` reads only `args.a` and tests the presence of `b`.
                    if let Some(mut path) = arg_path(&select.operand)
                        .or_else(|| is_args(&select.operand).then(Vec::new))
                    {
                        path.push(select.field.clone());
                        self.reads.push(Read { path: path.clone(), presence_only: true });
                        self.arg_paths.push(ArgPath { path, must_exist: false });
                    }
                } else if is_path(&select.operand) {
                    // The full path replaces those of its prefixes.
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
                EntryExpr::StructField(_) => Err("an expression cannot build structs".into()),
            }),
            Node::Struct(_) => Err("an expression cannot build structs".into()),
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
                "`{}` is not a function; the functions are {}",
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
                    return Err("`counter` takes two string literals".into());
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
                    return Err("the pattern of `matches` must be a string literal".into());
                };
                prepare_pattern(pattern)?;
                call.func_name = MATCHES.to_owned();
            }
            operators::EQUALS => call.func_name = equality::EQUALS.to_owned(),
            operators::NOT_EQUALS => call.func_name = equality::NOT_EQUALS.to_owned(),
            operators::IN => {
                let is_literal = matches!(
                    call.args.get(1).map(|list| &list.expr),
                    Some(Node::List(_) | Node::Map(_))
                );
                let name = if is_literal { equality::IN_LITERAL } else { equality::IN };
                call.func_name = name.to_owned();
            }
            "cidr" => {
                let [_, network] = &call.args[..] else {
                    return Err("`cidr` takes an IP address and a network".into());
                };
                let network =
                    literal(network).ok_or("the network of `cidr` must be a string literal")?;
                network
                    .parse::<ipnet::IpNet>()
                    .map_err(|_| format!("`{network}` is not a network such as `10.0.0.0/8`"))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the index of a counter in `counters`; adds it if needed.
    fn counter(&mut self, tool: &str, name: &str) -> Result<usize, String> {
        let counter = (self.find)(tool, name)
            .ok_or_else(|| format!("no limit of `{tool}` in this file has the counter `{name}`"))?;
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
        // A loop over the result of another loop counts as nested: the sizes multiply.
        self.node(&mut comprehension.iter_range, depth + 1, loops + 1)?;
        self.node(&mut comprehension.accu_init, depth + 1, loops)?;
        let known = self.bound.len();
        self.bound.extend([comprehension.accu_var.clone(), comprehension.iter_var.clone()]);
        self.bound.extend(comprehension.iter_var2.clone());
        // The nodes that a macro adds do not count as nesting.
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
        Node::Literal(LiteralValue::String(string)) => Some(string.inner()),
        _ => None,
    }
}

fn is_args(node: &IdedExpr) -> bool {
    matches!(&node.expr, Node::Ident(name) if name == "args")
}

fn is_path(node: &IdedExpr) -> bool {
    arg_path(node).is_some()
}

/// Returns the keys of `args.a.b` and `args["a"].b`.
fn arg_path(node: &IdedExpr) -> Option<Vec<String>> {
    let (operand, key) = match &node.expr {
        Node::Select(select) if !select.test => (&*select.operand, select.field.clone()),
        Node::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
            (&call.args[0], literal(&call.args[1])?.to_owned())
        }
        _ => return None,
    };
    let mut keys = if is_args(operand) { vec![] } else { arg_path(operand)? };
    keys.push(key);
    Some(keys)
}
