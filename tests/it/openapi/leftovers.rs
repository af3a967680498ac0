//! What documents keep of an older version or of another tool: `nullable` in 3.1, flags that are
//! texts, regular expressions as JavaScript writes them.

use airlock::catalog::Credential;
use serde_json::{Value, json};

use super::meaning::{Echo, body, operation};

async fn of_fields(version: &str, fields: Value) -> Echo {
    let schema = json!({"type": "object", "properties": fields});
    let paths = json!({"/a": {"post": operation("put", body(schema))}});
    let schemas = json!({"Size": {"type": "object", "properties": {"width": {"type": "integer"}}}});
    Echo::of_version(version, paths, schemas, Credential::None).await
}

#[tokio::test]
async fn null_is_sent_where_a_flag_of_another_version_allows_it() {
    let size = json!({"$ref": "#/components/schemas/Size"});
    let fields = json!({
        "plain": {"type": "integer", "nullable": true},
        "beside": {"$ref": "#/components/schemas/Size", "nullable": true},
        "all": {"nullable": true, "allOf": [size, {"type": "object"}]},
        "some": {"oneOf": [size, {"type": "string"}], "x-nullable": true},
        "listed": {"type": "string", "enum": ["a", "b"], "nullable": true},
        "extended": {"type": "string", "x-nullable": true},
        "isNull": {"type": "string", "x-isnullable": "true"},
        "text": {"type": "string", "nullable": "True"},
        "not": {"type": "string", "nullable": false},
    });
    for version in ["3.0.1", "3.1.0", "3.2.0"] {
        let echo = of_fields(version, fields.clone()).await;
        for name in ["plain", "beside", "all", "some", "listed", "extended", "isNull", "text"] {
            let seen = echo.seen("put", json!({"body": {name: null}})).await.2;
            assert_eq!(seen, format!("{{\"{name}\":null}}"), "{version} {name}");
        }
        let message = echo.refused("put", json!({"body": {"not": null}})).await;
        assert!(message.contains("`body.not` must be string, got null"), "{message}");
        let message = echo.refused("put", json!({"body": {"listed": "c"}})).await;
        assert!(message.contains("must be one of"), "{message}");
    }
}

#[tokio::test]
async fn a_regular_expression_between_slashes_is_the_one_between_them() {
    let of = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let echo = of_fields(
        "3.0.3",
        json!({
            "literal": of("/^[0-9]{3}$/"), "unicode": of("/ab+/u"), "any": of("/^[a-z]+$/i"),
            "either": of("/v1/"), "path": of("^/v1/"), "open": of("/home"),
        }),
    )
    .await;
    for fine in [
        json!({"literal": "123"}),
        json!({"unicode": "xabb"}),
        json!({"any": "ABC"}),
        json!({"either": "v1"}),
        json!({"path": "/v1/x"}),
        json!({"open": "/home/me"}),
    ] {
        assert_eq!(echo.seen("put", json!({"body": fine})).await.2, fine.to_string());
    }
    for wrong in [
        json!({"literal": "12"}),
        json!({"literal": "/123/"}),
        json!({"unicode": "b"}),
        json!({"path": "v1"}),
        json!({"open": "home"}),
    ] {
        let message = echo.refused("put", json!({"body": wrong})).await;
        assert!(message.contains("must match"), "{wrong}: {message}");
    }
}
