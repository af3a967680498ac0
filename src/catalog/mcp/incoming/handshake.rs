//! The answer to a handshake, of which this side needs little: an odd member is no reason to give a
//! server up.

use serde_json::{json, value::RawValue};

use crate::base::json::members::{present_members, scalar};

/// The answer with what is needed of it; none where not even that is there.
pub(super) fn tidied(result: &str) -> Option<String> {
    let names = ["protocolVersion", "capabilities", "serverInfo"];
    let [version, capabilities, server] = present_members(result, names).ok()?;
    let version = scalar(version?)?;
    let named = |name: &str| server.and_then(|server| scalar(member(server, name)?));
    let mut kept = json!({
        "protocolVersion": version,
        "capabilities": {},
        "serverInfo": {
            "name": named("name").unwrap_or_default(),
            "version": named("version").unwrap_or_default(),
        },
    });
    let tools = capabilities.and_then(|all| member(all, "tools"));
    // `false` says that there are none. PHP writes an empty object as an empty list.
    if let Some(tools) = tools.filter(|tools| tools.get() != "false") {
        let changes = member(tools, "listChanged").is_some_and(|changes| changes.get() == "true");
        kept["capabilities"]["tools"] = json!({ "listChanged": changes });
    }
    for name in ["resources", "prompts"] {
        let offered = capabilities.and_then(|all| member(all, name));
        if offered.is_some_and(|offered| offered.get() != "false") {
            kept["capabilities"][name] = json!({});
        }
    }
    Some(kept.to_string())
}

fn member<'t>(object: &'t RawValue, name: &str) -> Option<&'t RawValue> {
    present_members(object.get(), [name]).ok()?[0]
}
