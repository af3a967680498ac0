//! Determines the value of a program: the edits that make it return what its author meant. Inspects
//! the syntax tree, edits the source.

use swc_core::{
    common::Spanned,
    ecma::ast::{
        BlockStmt, Decl, DefaultDecl, Expr, FnDecl, Function, ImportSpecifier, Lit, Module,
        ModuleDecl, ModuleItem, Pat, Stmt,
    },
};

use super::{
    hint,
    parse::{Body, Fault, offset},
    text::Edits,
};

/// Changes to a program before it is wrapped again.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Changes within the lines.
    pub(super) edits: Edits,
    /// Code on a line of its own after the last one.
    pub(super) close: String,
}

/// Shapes a program: a lone function is called, a trailing expression is returned, anything else
/// stays unchanged.
pub(super) fn of_body(body: &Body) -> Shape {
    let mut shape = Shape::default();
    let statements: Vec<&Stmt> =
        body.statements().iter().filter(|statement| !is_erased(statement)).collect();
    let directives = statements.iter().take_while(|statement| is_directive(statement)).count();
    match statements[directives.min(statements.len().saturating_sub(1))..] {
        [Stmt::Decl(Decl::Fn(declared))] if !declared.function.is_generator => {
            shape.close = return_call(declared)
        }
        [Stmt::Expr(statement)] if call_of(&statement.expr).is_some() => {
            let (lo, hi) =
                (body.offset(statement.expr.span().lo), body.offset(statement.expr.span().hi));
            shape.edits.insert(lo, "return (");
            shape.edits.insert(hi, call_of(&statement.expr).unwrap_or(")"));
        }
        _ => return_last(body.statements(), body, &mut shape.edits),
    }
    shape
}

/// Returns true if a program is one block, which may have been meant as an object.
pub(super) fn is_lone_block(body: &Body) -> bool {
    let mut statements = body.statements().iter().filter(|statement| !is_erased(statement));
    matches!((statements.next(), statements.next()), (Some(Stmt::Block(_)), None))
}

/// Returns the code after a program that is one expression in `return (` `)`: a call if it is a
/// function. Returns `None` if the program is not one expression.
pub(super) fn of_expression(body: &Body, code: &str) -> Option<&'static str> {
    let [Stmt::Return(statement)] = body.statements() else { return None };
    match statement.arg.as_deref()? {
        // The parenthesis must be ours: `a) + (b` has others.
        Expr::Paren(paren) if body.offset(paren.span.hi) == code.len() + 2 => {
            Some(call_of(&paren.expr).unwrap_or(")"))
        }
        _ => None,
    }
}

/// Returns the edits that remove module syntax: `export` is dropped, `export default` becomes the
/// program's value, types are blanked.
pub(super) fn of_module(module: &Module) -> Result<Shape, Fault> {
    let mut shape = Shape::default();
    for item in &module.body {
        let ModuleItem::ModuleDecl(item) = item else { continue };
        let (lo, hi) = (offset(item.span().lo), offset(item.span().hi));
        match item {
            ModuleDecl::Import(import) if import.type_only || all_types(&import.specifiers) => {
                shape.edits.blank(lo, hi)
            }
            ModuleDecl::ExportNamed(export) if export.src.is_none() || export.type_only => {
                shape.edits.blank(lo, hi)
            }
            ModuleDecl::ExportDecl(export) => shape.edits.blank(lo, offset(export.decl.span().lo)),
            ModuleDecl::ExportDefaultExpr(export) => {
                let (from, to) = (offset(export.expr.span().lo), offset(export.expr.span().hi));
                shape.edits.blank(lo, from);
                shape.edits.insert(from, "return (");
                shape.edits.insert(to, call_of(&export.expr).unwrap_or(")"));
            }
            ModuleDecl::ExportDefaultDecl(export) => {
                let (from, to) = (offset(export.decl.span().lo), offset(export.decl.span().hi));
                shape.edits.blank(lo, from);
                match &export.decl {
                    DefaultDecl::Fn(function) if function.function.body.is_none() => {
                        shape.edits.blank(from, to)
                    }
                    DefaultDecl::Fn(function) if !function.function.is_generator => match &function
                        .ident
                    {
                        Some(name) => {
                            shape.close =
                                format!("return {}({});", name.sym, argument(&function.function))
                        }
                        None => {
                            shape.edits.insert(from, "return (");
                            shape.edits.insert(
                                to,
                                if takes_tools(&function.function) { ")(tools)" } else { ")()" },
                            );
                        }
                    },
                    DefaultDecl::Class(class) if class.ident.is_none() => {
                        shape.edits.insert(from, "return (");
                        shape.edits.insert(to, ")");
                    }
                    _ => {}
                }
            }
            _ => {
                return Err(Fault {
                    message: "imports are not available".into(),
                    at: lo,
                    hint: Some(hint::IMPORT),
                });
            }
        }
    }
    Ok(shape)
}

fn all_types(specifiers: &[ImportSpecifier]) -> bool {
    !specifiers.is_empty()
        && specifiers.iter().all(
            |specifier| matches!(specifier, ImportSpecifier::Named(named) if named.is_type_only),
        )
}

/// Inserts `return` before the value of the last statement. Function declarations are hoisted, so
/// they may follow it.
fn return_last(statements: &[Stmt], body: &Body, edits: &mut Edits) {
    let last = statements
        .iter()
        .rev()
        .find(|statement| !is_erased(statement) && !matches!(statement, Stmt::Decl(Decl::Fn(_))));
    if let Some(last) = last {
        return_value(last, body, edits);
    }
}

fn return_value(statement: &Stmt, body: &Body, edits: &mut Edits) {
    let block = |block: &BlockStmt, edits: &mut Edits| return_last(&block.stmts, body, edits);
    match statement {
        Stmt::Expr(statement) => {
            edits.insert(body.offset(statement.expr.span().lo), "return (");
            edits.insert(body.offset(statement.expr.span().hi), ")");
        }
        Stmt::Block(inner) => block(inner, edits),
        Stmt::If(choice) => {
            return_value(&choice.cons, body, edits);
            if let Some(other) = &choice.alt {
                return_value(other, body, edits);
            }
        }
        Stmt::Try(attempt) => {
            block(&attempt.block, edits);
            if let Some(handler) = &attempt.handler {
                block(&handler.body, edits);
            }
        }
        _ => {}
    }
}

/// Returns the code that closes `return (` after a function and calls it; `None` for anything but a
/// plain function.
fn call_of(expression: &Expr) -> Option<&'static str> {
    let takes_tools = match expression {
        Expr::Paren(inner) => return call_of(&inner.expr),
        Expr::TsAs(inner) => return call_of(&inner.expr),
        Expr::TsSatisfies(inner) => return call_of(&inner.expr),
        Expr::TsNonNull(inner) => return call_of(&inner.expr),
        Expr::Arrow(arrow) => arrow.params.first().is_some_and(is_tools),
        Expr::Fn(function) if !function.function.is_generator => takes_tools(&function.function),
        _ => return None,
    };
    Some(if takes_tools { ")(tools)" } else { ")()" })
}

fn return_call(declared: &FnDecl) -> String {
    format!("return {}({});", declared.ident.sym, argument(&declared.function))
}

/// Returns the argument for a function: `tools` if its first parameter has that name, which would
/// otherwise shadow the global.
fn argument(function: &Function) -> &'static str {
    if takes_tools(function) { "tools" } else { "" }
}

fn takes_tools(function: &Function) -> bool {
    function.params.first().is_some_and(|param| is_tools(&param.pat))
}

fn is_tools(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Ident(name) if name.sym == "tools")
}

fn is_directive(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(statement) if matches!(*statement.expr, Expr::Lit(Lit::Str(_))))
}

/// Returns true if nothing of a statement is left once types are stripped.
fn is_erased(statement: &Stmt) -> bool {
    match statement {
        Stmt::Empty(_) => true,
        Stmt::Decl(declaration) => match declaration {
            Decl::TsInterface(_) | Decl::TsTypeAlias(_) => true,
            Decl::Class(declared) => declared.declare,
            Decl::Fn(declared) => declared.declare || declared.function.body.is_none(),
            Decl::Var(declared) => declared.declare,
            Decl::TsEnum(declared) => declared.declare,
            Decl::TsModule(declared) => declared.declare,
            Decl::Using(_) => false,
        },
        _ => false,
    }
}
