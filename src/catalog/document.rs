//! Tells what a document describes: an OpenAPI service or a GraphQL schema. Reads what it is given
//! and nothing else.

use super::{
    graphql,
    openapi::{self, glance::is_description},
};

/// What a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentKind {
    /// An OpenAPI or Swagger document.
    OpenApi {
        /// Title of the API.
        title: Option<String>,
        /// Credential that nearly every call needs, as a phrase.
        credential: Option<String>,
    },
    /// A GraphQL schema: SDL, or the result of introspection.
    GraphQl,
}

/// Reason why a document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableDocument {
    /// It is meant to be of a kind, and is faulty.
    #[error("it is not a valid {0}: {1}")]
    Faulty(&'static str, String),
    /// It is something else.
    #[error("it is neither an OpenAPI document nor a GraphQL schema")]
    Other,
}

/// Reads a document and says what it is. Takes up to seconds for tens of megabytes.
///
/// # Errors
/// If it is of no known kind, or faulty.
pub fn document_kind(bytes: &[u8]) -> Result<DocumentKind, UnusableDocument> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let openapi = openapi::glance::glance(bytes);
    if let Ok(glance) = openapi {
        return Ok(DocumentKind::OpenApi { title: glance.title, credential: glance.credential });
    }
    if is_description(text)
        && let Err(reason) = openapi
    {
        return Err(UnusableDocument::Faulty("OpenAPI document", reason));
    }
    match graphql::schema_fault(bytes) {
        None => Ok(DocumentKind::GraphQl),
        Some(reason) if reads_like_sdl(text) => {
            Err(UnusableDocument::Faulty("GraphQL schema", reason))
        }
        Some(_) => Err(UnusableDocument::Other),
    }
}

/// Returns true if a line begins as a definition in SDL does.
fn reads_like_sdl(text: &str) -> bool {
    let begins = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || "{@(".contains(c));
        let (word, name) = (words.next().unwrap_or_default(), words.next());
        let defines = ["type", "schema", "extend", "interface", "scalar", "enum", "union"];
        defines.contains(&word) && name.is_some_and(|name| !name.contains([':', '=']))
    };
    text.lines().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_known_by_what_is_in_it() {
        let openapi = |credential: Option<&str>| DocumentKind::OpenApi {
            title: Some("Parcels".to_owned()),
            credential: credential.map(str::to_owned),
        };
        let yaml = "openapi: 3.1.0\ninfo: {title: Parcels, version: '1'}\npaths: {}\n";
        assert_eq!(document_kind(yaml.as_bytes()), Ok(openapi(None)));
        let swagger = r#"{"swagger": "2.0", "info": {"title": "Parcels"}, "paths": {},
            "security": [{"key": []}],
            "securityDefinitions": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}}}"#;
        assert_eq!(
            document_kind(swagger.as_bytes()),
            Ok(openapi(Some("an API key in header `X-Key`")))
        );
        for schema in [
            "type Query { parcel(id: ID!): String }",
            "\u{feff}\"\"\"Mine\"\"\"\nschema { query: Q }\ntype Q { a: Int }\n",
            r#"{"__schema": {"queryType": {"name": "Q"}, "types": [{"kind": "OBJECT",
                "name": "Q", "fields": []}]}}"#,
            r#"{"data": {"__schema": {"queryType": {"name": "Q"}, "types": []}}}"#,
        ] {
            assert_eq!(document_kind(schema.as_bytes()), Ok(DocumentKind::GraphQl), "{schema}");
        }
        for other in ["", "name: nothing\n", "{\"a\": 1}", "[1]", "#!/bin/sh\necho\n", "# Title\n"]
        {
            assert_eq!(document_kind(other.as_bytes()), Err(UnusableDocument::Other), "{other}");
        }
        for (faulty, kind) in [
            ("type Query { parcel(id: ID!: String }", "GraphQL schema"),
            ("openapi: 3.1.0\ninfo: [", "OpenAPI document"),
            ("{\"openapi\": \"3.0.0\", \"paths\": {", "OpenAPI document"),
        ] {
            let found = document_kind(faulty.as_bytes());
            assert!(
                matches!(found, Err(UnusableDocument::Faulty(found, _)) if found == kind),
                "{faulty}: {found:?}"
            );
        }
    }
}
