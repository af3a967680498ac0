//! The module `host_functions.ts`, generated from the table of host functions: how each takes its
//! arguments. Baked into the snapshot and into the script of a Deno realm.

use std::fmt::Write;

use crate::model::HOST_FUNCTIONS;

/// Name of the module, as `tools.ts` imports it.
pub(super) const NAME: &str = "host_functions.ts";

/// Source of the module. Its objects have no prototype, so that a lookup finds nothing of a guest.
pub(super) fn module() -> String {
    let mut source = String::from("export const hostFunctions = {\n  __proto__: null,\n");
    for function in &HOST_FUNCTIONS {
        // JSON strings of ASCII text are JavaScript literals.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let plain = function.plain_argument.map_or_else(String::new, |plain| {
            format!(", field: {}, isHandle: {}", text(plain.field), plain.is_handle)
        });
        let (path, example) = (text(function.path), text(function.example));
        // Writing to a string cannot fail.
        let _ = writeln!(source, "  {path}: {{ __proto__: null, example: {example}{plain} }},");
    }
    source.push_str("};\n");
    source
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_module_has_a_line_for_each_host_function() {
        let module = super::module();
        assert!(module.is_ascii());
        assert!(
            module.contains(concat!(
                r#"  "discover": { __proto__: null, example: "{ query: \"x\", limit: 5 }", "#,
                r#"field: "query", isHandle: false },"#
            )),
            "{module}"
        );
        assert!(
            module.contains(
                r#"  "catalog.namespaces": { __proto__: null, example: "{ limit: 20 }" },"#
            ),
            "{module}"
        );
    }
}
