//! Reads the selection that an agent wrote and builds another one from its syntax tree, field by
//! field against the schema.
//!
//! The agent's text itself is never sent. The result holds fields, arguments and inline fragments
//! that the schema knows, no directive, no variable, no named fragment, and nothing that leads back
//! to a root type: so a selection can never contain a field that policy knows as another tool.

use std::collections::HashMap;

use apollo_compiler::{
    Name, Node,
    ast::{self, Argument, Definition, InlineFragment, OperationType, Selection},
    parser::Parser,
    validation::DiagnosticList,
};

use super::{
    default::{self, bare},
    literal,
    schema::{Field, ServiceSchema, TypeKind},
    sdl,
    select_error::{NAMES_MAX, SelectError, did_you_mean},
};
use crate::base::{suggest, text::cut};

/// Longest selection, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of fields, the selection itself counted.
pub(super) const DEPTH_MAX: usize = 8;
/// Fields at most, those that are filled in counted.
pub(super) const FIELDS_MAX: usize = 500;
/// Inline fragments at most.
const FRAGMENTS_MAX: usize = 100;
/// Faults that an error tells.
const FAULTS_MAX: usize = 5;
/// Nesting that the parser follows: fields, fragments and values together.
const NESTING_MAX: usize = 48;
/// Words and signs that the parser reads.
const TOKENS_MAX: usize = TEXT_BYTES_MAX;
/// Longest way with dots that an error tells, in bytes.
const PATH_BYTES_MAX: usize = 120;

/// The selection on values of `parent` that a text asks for, ready to be sent.
pub(super) fn rebuilt(
    schema: &ServiceSchema,
    parent: &Name,
    text: &str,
) -> Result<Vec<Selection>, SelectError> {
    let given = parsed(text)?;
    let mut rebuild = Rebuild {
        schema,
        fields_left: FIELDS_MAX,
        fragments_left: FRAGMENTS_MAX,
        faults: Vec::new(),
        faults_more: 0,
    };
    let built = rebuild.set(parent, &given, 1, "");
    if rebuild.faults.is_empty() {
        return Ok(built);
    }
    let more = match rebuild.faults_more {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(SelectError(format!("{}{more}", rebuild.faults.join("; "))))
}

/// The one selection set that a text holds, with or without braces around it.
fn parsed(text: &str) -> Result<Vec<Selection>, SelectError> {
    if text.trim().is_empty() {
        return Err(SelectError(
            "it is empty; leave it out for the default fields, or name some: `id name`".to_owned(),
        ));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(SelectError(format!(
            "it is {} bytes; the limit is {TEXT_BYTES_MAX}",
            text.len()
        )));
    }
    // On lines of their own, so that a comment cannot swallow a brace.
    let is_bare = !text.trim_start().starts_with('{');
    let source = if is_bare { format!("{{\n{text}\n}}") } else { format!("{text}\n") };
    let mut parser = Parser::new().recursion_limit(NESTING_MAX).token_limit(TOKENS_MAX);
    let document = parser.parse_ast(source, "select").map_err(|faulty| {
        let fault =
            dotted(text).unwrap_or_else(|| fault(text, usize::from(is_bare), &faulty.errors));
        SelectError(format!(
            "it is not a selection set such as `id name owner {{ login }}`: {fault}"
        ))
    })?;
    let several = || {
        SelectError(
            "it must be one selection set such as `id name owner { login }`, nothing beside it"
                .to_owned(),
        )
    };
    let [Definition::OperationDefinition(operation)] = document.definitions.as_slice() else {
        return Err(several());
    };
    let is_bare = operation.operation_type == OperationType::Query
        && operation.name.is_none()
        && operation.variables.is_empty()
        && operation.directives.is_empty();
    if is_bare { Ok(operation.selection_set.clone()) } else { Err(several()) }
}

/// The parser's errors with their positions in the agent's own text, above which `lines_above`
/// lines were put.
fn fault(text: &str, lines_above: usize, errors: &DiagnosticList) -> String {
    match sdl::fault(errors) {
        (Some((line, column)), message) => match line.checked_sub(lines_above) {
            Some(line) if (1..=text.lines().count()).contains(&line) => {
                format!("line {line}, column {column}: {message}")
            }
            // The brace that was put there is reached too late or too early.
            _ => format!("at its end: {message}"),
        },
        (None, message) => message,
    }
}

/// Says how a way with dots in it, `price.amount`, is written; none where a text has no such thing.
fn dotted(text: &str) -> Option<String> {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (index, code) in without_texts(text).lines().enumerate() {
        let mut behind = 0;
        for piece in code.split_inclusive(|c| !is_part(c) && c != '.') {
            let (at, path) = (behind, piece.trim_end_matches(|c| !is_part(c) && c != '.'));
            behind += piece.len();
            let names: Vec<&str> = path.split('.').collect();
            if names.len() < 2 || !names.iter().all(|name| name.starts_with(is_start)) {
                continue;
            }
            let (line, column) = (index + 1, code[..at].chars().count() + 1);
            if names.len() > DEPTH_MAX || path.len() > PATH_BYTES_MAX {
                return Some(format!(
                    "line {line}, column {column}: write nested fields with braces, not with dots"
                ));
            }
            let (open, close) = (names.join(" { "), " }".repeat(names.len() - 1));
            return Some(format!(
                "line {line}, column {column}: write nested fields with braces: `{open}{close}` \
                instead of `{path}`"
            ));
        }
    }
    None
}

/// The text with its strings and comments replaced by spaces, equally many characters and lines.
fn without_texts(text: &str) -> String {
    let (mut is_string, mut is_comment, mut is_escaped) = (false, false, false);
    let blanked = text.chars().map(|c| {
        let is_text = is_string || is_comment;
        match c {
            '\n' => (is_comment, is_escaped) = (false, false),
            '"' if !is_comment && !is_escaped => is_string = !is_string,
            '#' if !is_string => is_comment = true,
            _ => is_escaped = is_string && c == '\\' && !is_escaped,
        }
        if is_text && c != '\n' { ' ' } else { c }
    });
    blanked.collect()
}

struct Rebuild<'a> {
    schema: &'a ServiceSchema,
    fields_left: usize,
    fragments_left: usize,
    /// What is wrong, the first few, and how much more there is.
    faults: Vec<String>,
    faults_more: usize,
}

impl Rebuild<'_> {
    fn fault(&mut self, SelectError(fault): SelectError) {
        if self.faults.contains(&fault) {
            return;
        }
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.faults_more += 1;
        }
    }

    /// Checks a selection set and everything in it; `at` is the path to it, empty at the top. What
    /// is wrong is noted and left out.
    fn set(
        &mut self,
        parent: &Name,
        given: &[Selection],
        depth: usize,
        at: &str,
    ) -> Vec<Selection> {
        if depth > DEPTH_MAX {
            self.fault(SelectError(format!(
                "`{at}` is nested deeper than {DEPTH_MAX} levels; ask for it in a call of its own"
            )));
            return Vec::new();
        }
        let mut out: Vec<Selection> = Vec::with_capacity(given.len());
        // What stands under each name of the answer.
        let mut asked: HashMap<Name, (Name, Vec<Node<Argument>>)> = HashMap::new();
        for selection in given {
            match selection {
                Selection::Field(field) => {
                    let field = match self.field(parent, field, depth, at) {
                        Ok(field) => field,
                        Err(fault) => {
                            self.fault(fault);
                            continue;
                        }
                    };
                    let key = field.alias.clone().unwrap_or_else(|| field.name.clone());
                    let same = (field.name.clone(), field.arguments.clone());
                    if *asked.entry(key.clone()).or_insert_with(|| same.clone()) != same {
                        let key = joined(at, &key);
                        self.fault(SelectError(format!(
                            "`{key}` is asked for twice and differently; give one an alias"
                        )));
                    }
                    out.push(Selection::Field(Node::new(field)));
                }
                Selection::InlineFragment(fragment) => {
                    match self.fragment(parent, fragment, depth, at) {
                        Ok(fragment) => out.push(Selection::InlineFragment(Node::new(fragment))),
                        Err(fault) => self.fault(fault),
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.fragment_name;
                    self.fault(SelectError(format!(
                        "`...{name}` is a named fragment, which cannot be defined here; write \
                        `... on Type {{ fields }}`"
                    )));
                }
            }
        }
        out
    }

    fn field(
        &mut self,
        parent: &Name,
        given: &ast::Field,
        depth: usize,
        at: &str,
    ) -> Result<ast::Field, SelectError> {
        self.fields_left = self.fields_left.checked_sub(1).ok_or_else(|| {
            SelectError(format!(
                "it has more than {FIELDS_MAX} fields; ask for fewer, or in several calls"
            ))
        })?;
        let here = joined(at, &given.name);
        no_directives(&given.directives, &here)?;
        if given.name.as_str() == "__typename" {
            if !given.arguments.is_empty() || !given.selection_set.is_empty() {
                return Err(SelectError(format!("`{here}` takes neither arguments nor fields")));
            }
            return Ok(bare(given.alias.clone(), given.name.clone()));
        }
        let field = self
            .schema
            .field(parent, &given.name)
            .ok_or_else(|| self.unknown(parent, &given.name, at))?;
        let named = field.ty.inner_named_type();
        if self.schema.is_root(named) {
            return Err(SelectError(format!(
                "`{here}` leads back to the root of the service, where every field is a tool of \
                its own; call that tool instead"
            )));
        }
        let arguments = self.arguments(field, &given.arguments, &here)?;
        let selection_set = if self.schema.is_composite(named) {
            match given.selection_set.as_slice() {
                [] => self.filled_in(named),
                chosen => self.set(named, chosen, depth + 1, &here),
            }
        } else if given.selection_set.is_empty() {
            Vec::new()
        } else {
            return Err(SelectError(format!(
                "`{here}` is a `{}`, which has no fields to choose from",
                field.ty
            )));
        };
        let name = field.name.clone();
        Ok(ast::Field {
            alias: given.alias.clone(),
            name,
            arguments,
            directives: ast::DirectiveList::new(),
            selection_set,
        })
    }

    /// Fields selected for an object that the agent named without fields.
    fn filled_in(&mut self, named: &Name) -> Vec<Selection> {
        let leaves = default::leaves_only(self.schema, named, self.fields_left);
        self.fields_left = self.fields_left.saturating_sub(leaves.len());
        leaves
    }

    fn arguments(
        &self,
        field: &Field,
        given: &[Node<Argument>],
        here: &str,
    ) -> Result<Vec<Node<Argument>>, SelectError> {
        let mut out: Vec<Node<Argument>> = Vec::with_capacity(given.len());
        for argument in given {
            let name = &argument.name;
            let Some(known) = field.args.iter().find(|known| known.name == *name) else {
                let hint = did_you_mean(name, field.args.iter().map(|arg| arg.name.as_str()));
                return Err(SelectError(format!("`{here}` takes no argument `{name}`{hint}")));
            };
            if out.iter().any(|taken| taken.name == *name) {
                return Err(SelectError(format!("`{here}` gives the argument `{name}` twice")));
            }
            let value = literal::checked(
                self.schema,
                &known.ty,
                &argument.value,
                &format!("{here}({name}:)"),
            )?;
            out.push(Node::new(Argument { name: known.name.clone(), value }));
        }
        let is_given = |name: &Name| out.iter().any(|taken| taken.name == *name);
        match field.args.iter().find(|known| known.is_required() && !is_given(&known.name)) {
            Some(missing) => Err(SelectError(format!(
                "`{here}` needs the argument `{}: {}`",
                missing.name, missing.ty
            ))),
            None => Ok(out),
        }
    }

    fn fragment(
        &mut self,
        parent: &Name,
        given: &InlineFragment,
        depth: usize,
        at: &str,
    ) -> Result<InlineFragment, SelectError> {
        self.fragments_left = self.fragments_left.checked_sub(1).ok_or_else(|| {
            SelectError(format!("it has more than {FRAGMENTS_MAX} inline fragments"))
        })?;
        no_directives(&given.directives, "...")?;
        let Some(condition) = &given.type_condition else {
            let selection_set = self.set(parent, &given.selection_set, depth + 1, at);
            return Ok(InlineFragment {
                type_condition: None,
                directives: ast::DirectiveList::new(),
                selection_set,
            });
        };
        let possible = self.schema.possible(parent);
        let can_be =
            |name: &Name| self.schema.possible(name).iter().any(|object| possible.contains(object));
        if self.schema.is_root(condition)
            || !self.schema.is_composite(condition)
            || !can_be(condition)
        {
            let known = possible.iter().filter(|name| !self.schema.is_root(name)).map(Name::as_str);
            let hint = did_you_mean(condition, known);
            return Err(SelectError(format!(
                "`... on {condition}`: a `{parent}` is never a `{condition}`{hint}"
            )));
        }
        let selection_set = self.set(condition, &given.selection_set, depth + 1, at);
        Ok(InlineFragment {
            type_condition: Some(condition.clone()),
            directives: ast::DirectiveList::new(),
            selection_set,
        })
    }

    fn unknown(&self, parent: &Name, name: &Name, at: &str) -> SelectError {
        let place =
            if at.is_empty() { format!("`{parent}`") } else { format!("`{at}`, a `{parent}`,") };
        let hint = match self.schema.kind(parent) {
            Some(TypeKind::Union) => self.of_members(parent, name),
            Some(TypeKind::Interface(own))
                if !own.iter().any(|field| suggest::is_typo(name, &field.name)) =>
            {
                self.of_members(parent, name)
            }
            _ => None,
        };
        let hint = hint.unwrap_or_else(|| {
            did_you_mean(name, self.schema.fields(parent).iter().map(|field| field.name.as_str()))
        });
        SelectError(format!("{place} has no field `{}`{hint}", cut(name, 80)))
    }

    /// Names the members of a union or an interface that have a field which the type itself does
    /// not have; for a union, its fields otherwise.
    fn of_members(&self, parent: &Name, name: &Name) -> Option<String> {
        let members: Vec<&Name> = self
            .schema
            .possible(parent)
            .iter()
            .filter(|member| !self.schema.is_root(member))
            .collect();
        let listed = |names: &[&Name]| {
            let more = names.len().saturating_sub(NAMES_MAX);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "{}{rest}",
                names
                    .iter()
                    .take(NAMES_MAX)
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let having: Vec<&Name> = members
            .iter()
            .copied()
            .filter(|member| self.schema.field(member, name).is_some())
            .collect();
        if let Some(first) = having.first() {
            let has = if having.len() == 1 { "has" } else { "have" };
            return Some(format!(
                "; {} {has} it: write `... on {first} {{ {name} }}`",
                listed(&having)
            ));
        }
        let fields = members.iter().flat_map(|member| {
            self.schema.fields(member).iter().map(move |field| (*member, field.name.as_str()))
        });
        let near = fields.filter_map(|(member, field)| {
            Some((suggest::typo_similarity(name, field)?, member, field))
        });
        match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, member, field)) => {
                Some(format!(", did you mean `... on {member} {{ {field} }}`?"))
            }
            // An interface has fields of its own to tell.
            None if !self.schema.fields(parent).is_empty() => None,
            None => {
                let first = members.first().map_or("Type", |name| name.as_str());
                Some(format!(
                    ", nor has any of {}: write `... on {first} {{ fields }}`",
                    listed(&members)
                ))
            }
        }
    }
}

fn no_directives(directives: &ast::DirectiveList, at: &str) -> Result<(), SelectError> {
    match directives.iter().next() {
        Some(directive) => Err(SelectError(format!(
            "`{at}` has the directive `@{}`; no directives are taken, leave the field out",
            directive.name
        ))),
        None => Ok(()),
    }
}

fn joined(at: &str, name: &Name) -> String {
    if at.is_empty() { name.to_string() } else { format!("{at}.{name}") }
}

#[cfg(test)]
pub(super) mod tests;
