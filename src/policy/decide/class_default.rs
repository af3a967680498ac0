//! Default permission of each class in each profile.

use crate::policy::model::{amount::Amount, class::Class, layer::Profile};

/// Permission of a call, from lenient to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Permission {
    Allow,
    Ask,
    Deny,
}

impl Permission {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Returns the permission of a class in a profile, and the number of such calls per minute that
/// each principal has.
///
/// The limit belongs to this default alone: a tool that a file allows is not limited. `read` has
/// 1200 calls a minute because programs that page through a few hundred records are what this
/// server is for. A call that waits for approval is counted once it is approved; the number of
/// pending approvals is bounded elsewhere.
pub(super) fn class_default(profile: Profile, class: Class) -> (Permission, Option<Amount>) {
    let permission = match (profile, class) {
        (Profile::Strict, _) => Permission::Deny,
        (Profile::ReadOnly | Profile::Auto | Profile::Open, Class::Read) => Permission::Allow,
        (Profile::ReadOnly, _) => Permission::Deny,
        (Profile::Auto, _) => Permission::Ask,
        (Profile::Open, Class::Destructive | Class::Financial) => Permission::Ask,
        (Profile::Open, Class::Write | Class::Execute | Class::Unknown) => Permission::Allow,
    };
    let per_minute = match class {
        Class::Read => 1200,
        Class::Write => 30,
        Class::Execute | Class::Unknown => 10,
        Class::Destructive | Class::Financial => 5,
    };
    let limited = match profile {
        Profile::ReadOnly | Profile::Auto => true,
        Profile::Open => permission == Permission::Ask,
        Profile::Strict => false,
    };
    (permission, limited.then(|| Amount::whole(per_minute).unwrap_or(Amount::ZERO)))
}

/// Returns the name of the counter of a class. Some classes share one.
pub(super) fn counter_name(class: Class) -> &'static str {
    match class {
        Class::Read => "class read",
        Class::Write => "class write",
        Class::Execute | Class::Unknown => "class execute, unknown",
        Class::Destructive | Class::Financial => "class destructive, financial",
    }
}
