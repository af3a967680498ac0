//! Input of a policy: its files and the options they are loaded with.

/// Callers that a file applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerScope {
    /// Every caller.
    Organisation,
    /// Callers of one workspace.
    Workspace(String),
    /// Callers that authenticated with the key of this label.
    Key(String),
}

/// One policy file.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Callers the layer applies to.
    pub scope: LayerScope,
    /// Name in records and problems: that of the file.
    pub name: String,
    /// Binds the layer to one upstream: every tool name in it is then a name at that upstream, as
    /// in files of Intercept and PolicyLayer. Without a `default`, such a layer allows the tools
    /// that it does not list, as those products do.
    pub upstream: Option<String>,
    /// Text of the file: YAML or JSON, at most 1 MiB.
    pub text: String,
}

/// Default decisions by the class of the tool, for tools that no file decides about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Allows `read`; denies all other classes.
    ReadOnly,
    /// Allows `read`; asks about all other classes.
    #[default]
    Auto,
    /// Asks about `destructive` and `financial`; allows all other classes.
    Open,
    /// Denies every class.
    Strict,
}

impl Profile {
    /// All profiles, with their names in the configuration.
    pub const ALL: [(&'static str, Self); 4] = [
        ("readonly", Self::ReadOnly),
        ("auto", Self::Auto),
        ("open", Self::Open),
        ("strict", Self::Strict),
    ];

    /// Returns the name in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }
}

/// Options that a policy is loaded with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Decides about tools that no file decides about.
    pub profile: Profile,
    /// Somebody can approve calls on this server; otherwise `ask` denies.
    pub approvals: bool,
}
