//! The resources and prompts of a server, offered as tools beside its own: `$resources.list`,
//! `$resources.read`, `$resources.templates`, `$prompts.list` and `$prompts.get`.
//!
//! They go through the same policy, bounds and redaction as every tool. By the protocol they read,
//! so their class is that of reading.

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, GetPromptRequest,
    GetPromptRequestParams, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest,
    PaginatedRequestParams, ReadResourceRequest, ReadResourceRequestParams, ServerCapabilities,
};
use serde_json::{Value, json};

use crate::{
    catalog::tool::{OfferedTool, Tool},
    model::{Annotations, JsonObject, Operation},
};

/// First segments of the names of these tools. No tool of a server's own begins with one.
const GROUPS: [&str; 2] = ["$resources", "$prompts"];

/// A request for resources or prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    Resources,
    Resource,
    Templates,
    Prompts,
    Prompt,
}

impl Lookup {
    const ALL: [Self; 5] =
        [Self::Resources, Self::Resource, Self::Templates, Self::Prompts, Self::Prompt];

    /// The request that a tool stands for; none for one of the server's own.
    pub(super) fn of(tool: &Tool) -> Option<Self> {
        let is_lookup = tool.operation == Some(Operation::Read);
        Self::ALL.into_iter().find(|lookup| is_lookup && lookup.name() == tool.name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Resources => "$resources.list",
            Self::Resource => "$resources.read",
            Self::Templates => "$resources.templates",
            Self::Prompts => "$prompts.list",
            Self::Prompt => "$prompts.get",
        }
    }

    /// The method of the protocol.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Resources => "resources/list",
            Self::Resource => "resources/read",
            Self::Templates => "resources/templates/list",
            Self::Prompts => "prompts/list",
            Self::Prompt => "prompts/get",
        }
    }

    /// The member of the answer that its list is in.
    pub(super) fn list(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Resource => "contents",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
            Self::Prompt => "messages",
        }
    }

    fn is_offered(self, capabilities: &ServerCapabilities) -> bool {
        match self {
            Self::Resources | Self::Resource | Self::Templates => capabilities.resources.is_some(),
            Self::Prompts | Self::Prompt => capabilities.prompts.is_some(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Resources => "Lists the resources of this server, a page at a time.",
            Self::Resource => {
                "Reads a resource of this server: one that it lists, one that a resource template \
                gives, or the `uri` of a `resource_link` in a tool's answer."
            }
            Self::Templates => {
                "Lists the templates of the URIs of this server's resources, a page at a time."
            }
            Self::Prompts => "Lists the prompts of this server, a page at a time.",
            Self::Prompt => "Gets a prompt of this server with its arguments filled in.",
        }
    }

    fn input_schema(self) -> Value {
        let text = |description: &str| json!({"type": "string", "description": description});
        let (required, properties) = match self {
            Self::Resource => (json!(["uri"]), json!({"uri": text("URI of the resource")})),
            Self::Prompt => (
                json!(["name"]),
                json!({
                    "name": text("Name of the prompt"),
                    "arguments": {
                        "type": "object", "additionalProperties": {"type": "string"},
                        "description": "Arguments of the prompt",
                    },
                }),
            ),
            Self::Resources | Self::Templates | Self::Prompts => {
                (json!([]), json!({"cursor": text("`nextCursor` of the page before")}))
            }
        };
        json!({
            "type": "object", "required": required, "properties": properties,
            "additionalProperties": false,
        })
    }

    fn output_schema(self) -> Value {
        let text = || json!({"type": "string"});
        let item = match self {
            Self::Resources => json!({
                "uri": text(), "name": text(), "description": text(), "mimeType": text(),
            }),
            // A blob is a handle.
            Self::Resource => json!({
                "uri": text(), "mimeType": text(), "text": text(), "blob": {"type": "object"},
            }),
            Self::Templates => json!({
                "uriTemplate": text(), "name": text(), "description": text(), "mimeType": text(),
            }),
            Self::Prompts => json!({
                "name": text(), "description": text(),
                "arguments": {"type": "array", "items": {"type": "object", "properties": {
                    "name": text(), "description": text(), "required": {"type": "boolean"},
                }}},
            }),
            Self::Prompt => json!({"role": text(), "content": {"type": "object"}}),
        };
        let list = json!({"type": "array", "items": {"type": "object", "properties": item}});
        let mut properties = json!({ self.list(): list });
        match self {
            Self::Resource => {}
            Self::Prompt => properties["description"] = text(),
            Self::Resources | Self::Templates | Self::Prompts => {
                properties["nextCursor"] = text();
            }
        }
        json!({"type": "object", "required": [self.list()], "properties": properties})
    }

    fn offered(self) -> OfferedTool {
        let object = |schema: Value| match schema {
            Value::Object(schema) => schema,
            _ => JsonObject::new(),
        };
        OfferedTool {
            name: self.name().to_owned(),
            description: self.description().to_owned(),
            input_schema: object(self.input_schema()),
            output_schema: Some(object(self.output_schema())),
            annotations: Annotations { read_only: Some(true), ..Annotations::default() },
            operation: Some(Operation::Read),
            fingerprint: Some(self.method().to_owned()),
            ..OfferedTool::default()
        }
    }

    fn request(self, args: JsonObject) -> ClientRequest {
        let text = |name: &str| args.get(name).and_then(Value::as_str).map(str::to_owned);
        let page = || {
            PaginatedRequestParams::default()
                .with_cursor(text("cursor").filter(|cursor| !cursor.is_empty()))
        };
        match self {
            Self::Resources => ListResourcesRequest::with_param(page()).into(),
            Self::Templates => ListResourceTemplatesRequest::with_param(page()).into(),
            Self::Prompts => ListPromptsRequest::with_param(page()).into(),
            Self::Resource => {
                let uri = text("uri").unwrap_or_default();
                ReadResourceRequest::new(ReadResourceRequestParams::new(uri)).into()
            }
            Self::Prompt => {
                let mut params = GetPromptRequestParams::new(text("name").unwrap_or_default());
                if let Some(Value::Object(arguments)) = args.get("arguments") {
                    params = params.with_arguments(arguments.clone());
                }
                GetPromptRequest::new(params).into()
            }
        }
    }
}

/// The tools for what a server with these capabilities has beside its own tools.
pub(super) fn offered(capabilities: &ServerCapabilities) -> impl Iterator<Item = OfferedTool> {
    Lookup::ALL.into_iter().filter(|lookup| lookup.is_offered(capabilities)).map(Lookup::offered)
}

/// Returns true if a name of a server's own tool is one that these tools have for themselves.
pub(super) fn is_reserved(name: &str) -> bool {
    GROUPS.contains(&name.split('.').next().unwrap_or_default())
}

/// The request that a call of this tool is.
pub(super) fn request(tool: &Tool, args: JsonObject) -> ClientRequest {
    match Lookup::of(tool) {
        Some(lookup) => lookup.request(args),
        None => {
            let params = CallToolRequestParams::new(tool.name.clone()).with_arguments(args);
            CallToolRequest::new(params).into()
        }
    }
}

/// Returns true for a request whose result is kept as the server sent it.
pub(super) fn is_call(request: &ClientRequest) -> bool {
    matches!(
        request,
        ClientRequest::CallToolRequest(_)
            | ClientRequest::ListResourcesRequest(_)
            | ClientRequest::ListResourceTemplatesRequest(_)
            | ClientRequest::ListPromptsRequest(_)
            | ClientRequest::ReadResourceRequest(_)
            | ClientRequest::GetPromptRequest(_)
    )
}
