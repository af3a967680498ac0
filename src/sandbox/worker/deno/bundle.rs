//! Bundles the modules of `runtime-js/` into one script, because a realm in Deno has no modules.
//!
//! swc blanks out types and parses imports and exports. Each module becomes a function whose return
//! value holds its exports. Supports the forms that our modules use; any other form is an error at
//! every start.

use std::fmt::Write;

use swc_core::{
    common::{BytePos, FileName, SourceMap, Spanned, errors::Handler, sync::Lrc},
    ecma::{
        ast::{
            Decl, ExportSpecifier, ImportSpecifier, ModuleDecl, ModuleExportName, ModuleItem, Pat,
        },
        parser::{EsSyntax, Parser, StringInput, Syntax},
    },
};

use crate::sandbox::worker::host_functions;

macro_rules! module {
    ($name:literal, $file:literal) => {
        ($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/runtime-js/", $file)))
    };
    ($file:literal) => {
        module!($file, $file)
    };
}

/// The modules, each after those that it imports. The text of one is generated.
const MODULES: &[(&str, &str)] = &[
    module!("ext:core/mod.js", "deno/primordials.js"),
    module!("deno/clone.ts"),
    module!("ext:core/ops", "deno/natives.ts"),
    module!("encode.ts"),
    module!("errors.ts"),
    module!("timers.ts"),
    (host_functions::NAME, ""),
    module!("tools.ts"),
    module!("web/entropy.ts"),
    module!("web/date.ts"),
    module!("web/inspect.ts"),
    module!("web/event.ts"),
    module!("web/text.ts"),
    module!("web/url.ts"),
    module!("web/crypto.ts"),
    module!("web/clone.ts"),
    module!("web/console.ts"),
    module!("web/install.ts"),
    module!("install.ts"),
    module!("deno/realm.ts"),
];
/// Prefix of the names by which the modules import each other.
const PREFIX: &str = "ext:airlock/";

/// Error of a module that cannot be bundled.
#[derive(Debug, thiserror::Error)]
#[error("`{module}`: {fault}")]
pub(in crate::sandbox::worker) struct BundleError {
    module: &'static str,
    fault: String,
}

/// Returns the script of a realm: a function that takes the host and installs all globals.
pub(in crate::sandbox::worker) fn realm() -> Result<String, BundleError> {
    let mut script = String::from("(function (host) { \"use strict\";\n");
    let generated = host_functions::module();
    for (at, (name, source)) in MODULES.iter().enumerate() {
        let source = if *name == host_functions::NAME { generated.as_str() } else { source };
        let body = body(name, source).map_err(|fault| BundleError { module: name, fault })?;
        let _ = writeln!(script, "const $module{at} = (() => {{ {body}\n}})();");
    }
    script.push_str("})");
    Ok(script)
}

/// Returns the number of an imported module.
fn number_of(specifier: &str) -> Result<usize, String> {
    let name = specifier.strip_prefix(PREFIX).unwrap_or(specifier);
    MODULES
        .iter()
        .position(|(module, _)| *module == name)
        .ok_or_else(|| format!("it imports `{specifier}`, which does not exist"))
}

/// Converts a module to the body of a function that returns its exports.
fn body(name: &str, source: &str) -> Result<String, String> {
    let code = strip(source)?;
    let sources: Lrc<SourceMap> = Lrc::default();
    let file = sources.new_source_file(Lrc::new(FileName::Custom(name.to_owned())), code.clone());
    let mut parser = Parser::new(Syntax::Es(EsSyntax::default()), StringInput::from(&*file), None);
    let module = parser.parse_module().map_err(|error| format!("{error:?}"))?;
    let offset = |at: BytePos| (at - file.start_pos).0 as usize;
    // From the end to the beginning, so that earlier offsets stay valid.
    let (mut out, mut exports) = (code, String::new());
    for item in module.body.iter().rev() {
        let ModuleItem::ModuleDecl(declaration) = item else { continue };
        let (from, to) = (offset(declaration.span().lo), offset(declaration.span().hi));
        match declaration {
            ModuleDecl::Import(import) => {
                let names: Vec<String> =
                    import.specifiers.iter().map(imported).collect::<Result<_, _>>()?;
                let number = number_of(&import.src.value.to_string_lossy())?;
                out.replace_range(
                    from..to,
                    &format!("const {{ {} }} = $module{number};", names.join(", ")),
                );
            }
            ModuleDecl::ExportDecl(export) => {
                let _ = write!(exports, "{}, ", declared(&export.decl)?);
                out.replace_range(from..offset(export.decl.span().lo), "");
            }
            ModuleDecl::ExportNamed(export) => {
                let source = export
                    .src
                    .as_ref()
                    .ok_or("an export of a declaration elsewhere in the module")?;
                let number = number_of(&source.value.to_string_lossy())?;
                for specifier in &export.specifiers {
                    let ExportSpecifier::Named(named) = specifier else {
                        return Err("an export of a whole module".into());
                    };
                    let original = name_of(&named.orig);
                    let own = named.exported.as_ref().map_or_else(|| original.clone(), name_of);
                    let _ = write!(exports, "{own}: $module{number}.{original}, ");
                }
                out.replace_range(from..to, "");
            }
            other => return Err(format!("an unsupported form: {other:?}")),
        }
    }
    Ok(format!("{out}\nreturn {{ __proto__: null, {exports}}};"))
}

fn imported(specifier: &ImportSpecifier) -> Result<String, String> {
    let ImportSpecifier::Named(named) = specifier else {
        return Err("an import of a whole module".into());
    };
    Ok(match &named.imported {
        None => named.local.sym.to_string(),
        Some(original) => format!("{}: {}", name_of(original), named.local.sym),
    })
}

fn declared(declaration: &Decl) -> Result<String, String> {
    match declaration {
        Decl::Class(class) => Ok(class.ident.sym.to_string()),
        Decl::Fn(function) => Ok(function.ident.sym.to_string()),
        Decl::Var(variables) => match variables.decls.as_slice() {
            [one] => match &one.name {
                Pat::Ident(name) => Ok(name.id.sym.to_string()),
                other => Err(format!("an export by a pattern: {other:?}")),
            },
            many => many
                .iter()
                .map(|one| {
                    one.name
                        .as_ident()
                        .map(|name| name.id.sym.to_string())
                        .ok_or_else(|| "an export by a pattern".to_owned())
                })
                .collect::<Result<Vec<_>, _>>()
                .map(|names| names.join(", ")),
        },
        other => Err(format!("an unsupported export: {other:?}")),
    }
}

fn name_of(name: &ModuleExportName) -> String {
    match name {
        ModuleExportName::Ident(name) => name.sym.to_string(),
        ModuleExportName::Str(name) => name.value.to_string_lossy().into_owned(),
    }
}

fn strip(source: &str) -> Result<String, String> {
    let sources: Lrc<SourceMap> = Lrc::default();
    let errors = Handler::with_emitter_writer(Box::new(std::io::stderr()), Some(sources.clone()));
    let options =
        swc_ts_fast_strip::Options { module: Some(true), ..swc_ts_fast_strip::Options::default() };
    let stripped = swc_ts_fast_strip::operate(&sources, &errors, source.to_owned(), options)
        .map_err(|error| format!("{error:?}"))?;
    Ok(stripped.code)
}
