//! What answers where no file does: by the class of the tool.

use super::{Amount, Class, Profile};

/// A default answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    Ask,
    Deny,
}

/// The answer of a profile about a class, and how many such calls a minute each principal has.
///
/// The limits belong to this answer alone: a tool that a file allows is free of them. Reading has
/// 1200 a minute and not less because a program that pages through a few hundred records is what
/// this server is for. A call that is asked about is counted once it is allowed; how often a person
/// is asked is bounded where it waits.
pub(super) fn by_class(profile: Profile, class: Class) -> (Answer, Option<Amount>) {
    let answer = match (profile, class) {
        (Profile::Strict, _) => Answer::Deny,
        (Profile::ReadOnly | Profile::Auto | Profile::Open, Class::Read) => Answer::Allow,
        (Profile::ReadOnly, _) => Answer::Deny,
        (Profile::Auto, _) => Answer::Ask,
        (Profile::Open, Class::Destructive | Class::Financial) => Answer::Ask,
        (Profile::Open, Class::Write | Class::Execute | Class::Unknown) => Answer::Allow,
    };
    let a_minute = match class {
        Class::Read => 1200,
        Class::Write => 30,
        Class::Execute | Class::Unknown => 10,
        Class::Destructive | Class::Financial => 5,
    };
    let limited = match profile {
        Profile::ReadOnly | Profile::Auto => true,
        Profile::Open => answer == Answer::Ask,
        Profile::Strict => false,
    };
    (answer, limited.then(|| Amount::whole(a_minute).unwrap_or(Amount::ZERO)))
}

/// Classes that share a counter: which one.
pub(super) fn counter_name(class: Class) -> &'static str {
    match class {
        Class::Read => "class read",
        Class::Write => "class write",
        Class::Execute | Class::Unknown => "class execute, unknown",
        Class::Destructive | Class::Financial => "class destructive, financial",
    }
}

impl Profile {
    /// All, as they are written.
    pub const ALL: [(&'static str, Self); 4] = [
        ("readonly", Self::ReadOnly),
        ("auto", Self::Auto),
        ("open", Self::Open),
        ("strict", Self::Strict),
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }
}
