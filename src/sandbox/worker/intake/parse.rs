//! The only caller of swc's parser: parses a program inside its wrapper, or as a module if it was
//! written as one.

use std::mem::ManuallyDrop;

use swc_core::{
    common::{BytePos, FileName, SourceMap, Span, Spanned, sync::Lrc},
    ecma::{
        ast::{
            ArrowFunctionBody, Callee, Decorator, EsVersion, Expr, Module, ModuleItem, Script, Stmt,
        },
        parser::{
            Parser, StringInput, Syntax, TsSyntax,
            error::{Error, SyntaxError},
            lexer::Lexer,
        },
        visit::{Visit, VisitWith},
    },
};

use super::nesting;

/// Wrapper before the caller's first line, on a line of its own. Strict, as every module is.
pub(super) const HEAD: &str = "(async()=>{\"use strict\";";
/// Wrapper after the last line. The line break keeps a trailing comment from hiding it.
pub(super) const TAIL: &str = "})()";

/// A syntax error and its byte offset in the caller's source. The message is swc's or our own.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) at: usize,
    pub(super) hint: Option<&'static str>,
}

/// A program that parsed within its wrapper. Statements hold swc's positions; see [`Body::offset`].
pub(super) struct Body {
    statements: Vec<Stmt>,
    base: u32,
}

impl Body {
    /// The caller's own statements.
    pub(super) fn statements(&self) -> &[Stmt] {
        &self.statements
    }

    /// Converts a position in the wrapped source to a byte offset in the caller's source.
    pub(super) fn offset(&self, position: BytePos) -> usize {
        position.0.saturating_sub(self.base) as usize
    }
}

/// Wraps a program: [`HEAD`] and `open` before it, `close` and [`TAIL`] after it.
pub(super) fn wrap(code: &str, open: &str, close: &str) -> String {
    format!("{HEAD}{open}\n{code}\n{close}{TAIL}")
}

/// Parses a program as the body of an async function. Rejects anything else, such as a program that
/// closes the function and opens another.
pub(super) fn body(code: &str, open: &str, close: &str) -> Result<Body, Fault> {
    let text = wrap(code, open, close);
    let end = text.len() as u32;
    let base = 1 + (HEAD.len() + open.len() + 1) as u32;
    let fault = |error: Error| Fault {
        message: message(&error),
        at: (error.span().lo.0.saturating_sub(base) as usize).min(code.len()),
        hint: None,
    };
    let (script, errors) = script(text);
    let script = script.map_err(fault)?;
    if let Some(error) = errors.into_iter().next() {
        return Err(fault(error));
    }
    let closing_brace = Span::new(
        BytePos(HEAD.find('{').map_or(0, |at| at as u32 + 1)),
        BytePos(end - TAIL.len() as u32 + 2),
    );
    let broken_out = || Fault { message: "unbalanced `}`".into(), at: 0, hint: None };
    let mut statements = wrapped_statements(script, closing_brace).ok_or_else(broken_out)?;
    if !nesting::is_within_bounds(&statements) {
        // Dropping a tree recurses as deep as it is. The leak is bounded by the limit on the code.
        let _ = ManuallyDrop::new(statements);
        let message = format!("the code nests over {} levels deep", nesting::OPERATORS_MAX);
        return Err(Fault { message, at: 0, hint: Some(super::hint::SPLIT_UP) });
    }
    statements.remove(0);
    let body = Body { statements, base };
    match decorator(&body) {
        Some(at) => Err(Fault {
            message: "decorators are not available".into(),
            at,
            hint: Some(super::hint::DECORATORS),
        }),
        None => Ok(body),
    }
}

/// Returns the statements of our own function if its call is the only statement in the script.
fn wrapped_statements(mut script: Script, body: Span) -> Option<Vec<Stmt>> {
    if script.body.len() != 1 {
        return None;
    }
    let Some(Stmt::Expr(statement)) = script.body.pop() else { return None };
    let Expr::Call(call) = *statement.expr else { return None };
    let Callee::Expr(callee) = call.callee else { return None };
    let Expr::Paren(paren) = *callee else { return None };
    let Expr::Arrow(arrow) = *paren.expr else { return None };
    match *arrow.body {
        ArrowFunctionBody::FunctionBody(block) if block.span == body => Some(block.stmts),
        _ => None,
    }
}

/// Parses a program as a module. Ignores errors about `return`, which the wrapper allows. Positions
/// count from 1.
pub(super) fn module(code: &str, jsx: bool) -> (Option<Module>, Vec<Fault>) {
    let cm: Lrc<SourceMap> = Lrc::default();
    let file = cm.new_source_file(FileName::Anon.into(), code.to_owned());
    let mut parser = Parser::new_from(Lexer::new(
        syntax(jsx),
        EsVersion::latest(),
        StringInput::from(&*file),
        None,
    ));
    let module = parser.parse_module();
    let mut errors = parser.take_errors();
    let module = module.map_err(|error| errors.push(error)).ok();
    let mut faults: Vec<Fault> = errors
        .iter()
        .filter(|error| !matches!(error.kind(), SyntaxError::ReturnNotAllowed))
        .map(|error| Fault {
            message: message(error),
            at: offset(error.span().lo).min(code.len()),
            hint: None,
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    (module, faults)
}

/// Converts a position in a module to a byte offset in its source.
pub(super) fn offset(position: BytePos) -> usize {
    position.0.saturating_sub(1) as usize
}

/// Returns true if a module contains imports or exports.
pub(super) fn has_module_items(module: &Module) -> bool {
    module.body.iter().any(|item| matches!(item, ModuleItem::ModuleDecl(_)))
}

/// Returns the accepted syntax: all of TypeScript, and decorators so that they can be rejected by
/// name.
pub(super) fn typescript() -> TsSyntax {
    TsSyntax { decorators: true, ..TsSyntax::default() }
}

fn syntax(jsx: bool) -> Syntax {
    Syntax::Typescript(TsSyntax { tsx: jsx, ..typescript() })
}

fn script(text: String) -> (Result<Script, Error>, Vec<Error>) {
    let cm: Lrc<SourceMap> = Lrc::default();
    let file = cm.new_source_file(FileName::Anon.into(), text);
    let mut parser = Parser::new_from(Lexer::new(
        syntax(false),
        EsVersion::latest(),
        StringInput::from(&*file),
        None,
    ));
    let script = parser.parse_script();
    let errors = parser.take_errors();
    (script, errors)
}

fn message(error: &Error) -> String {
    match error.kind() {
        SyntaxError::Eof => "unexpected end of the code".into(),
        kind => kind.msg().into_owned(),
    }
}

fn decorator(body: &Body) -> Option<usize> {
    #[derive(Default)]
    struct First(Option<BytePos>);
    impl Visit for First {
        fn visit_decorator(&mut self, node: &Decorator) {
            self.0.get_or_insert(node.span.lo);
        }
    }
    let mut first = First::default();
    body.statements.iter().for_each(|statement| statement.visit_with(&mut first));
    first.0.map(|position| body.offset(position))
}
